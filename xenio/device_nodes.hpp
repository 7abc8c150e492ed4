#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "xenio/memory_tree.hpp"
#include "xenio/types.hpp"

// The toolstack's part in a vTPM device's life: the nodes that libxl makes for
// it and takes away again (tools/libs/light/libxl_vtpm.c, libxl_device.c).

namespace vtpm::xenio {

/// Where backends of all guests are, relative to the backend's home.
inline constexpr std::string_view backend_root = "backend/vtpm";

/// Returns the backend's directory for a device, absolute; the backend is
/// domain 0.
std::string backend_path(domid domain, std::uint32_t handle);

/// Returns the guest's directory for a device, absolute.
std::string frontend_path(domid domain, std::uint32_t handle);

/// Makes both directories: the backend's with frontend, frontend-id, online=1,
/// state=1, handle and uuid, the guest's with backend, backend-id=0, state=1
/// and handle.
void announce_device(memory_tree& tree, domid domain, std::uint32_t handle,
                     std::string_view uuid);

/// Removes both directories, and the parents that this leaves empty, as when
/// the guest is destroyed.
void remove_device(memory_tree& tree, domid domain, std::uint32_t handle);

} // namespace vtpm::xenio
