#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "xenio/errc.hpp"
#include "xenio/types.hpp"
#include "xenio/xen/store_link.hpp"

namespace vtpm::xenio::xen {

/// A vTPM device of the own domain, which has no guest's use for one: made for
/// an administrator's questions, with the nodes that a builder of domains would
/// make, and taken away after them. Needs dom0's rights, unless the device is
/// there already; then it is left as it is.
class admin_device {
public:
  /// The nil uuid: nobody's, see `locality_policy.hpp` and `platform.hpp`.
  static constexpr auto uuid = "00000000-0000-0000-0000-000000000000";

  /// Finds the device, or makes it.
  static result<std::unique_ptr<admin_device>> obtain(
    std::unique_ptr<store_link> store, domid backend, std::uint32_t handle);

  admin_device(const admin_device&) = delete;
  admin_device& operator=(const admin_device&) = delete;

  /// Takes away what was made, as libxl does: tells the backend, waits for its
  /// Closed, removes the nodes.
  ~admin_device();

  /// Returns the frontend's directory.
  const std::string& directory() const noexcept {
    return frontend_;
  }

private:
  admin_device(std::unique_ptr<store_link> store, domid self, domid backend,
               std::uint32_t handle);

  result<unit> make();
  void await_closed();

  std::unique_ptr<store_link> store_;
  domid self_;
  domid backend_domain_;
  std::uint32_t handle_;
  /// Holds the backend's directories for this domain.
  std::string parent_;
  std::string backend_;
  std::string frontend_;
  bool is_ours_ = false;
};

} // namespace vtpm::xenio::xen
