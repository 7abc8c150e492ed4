#include "xenio/device_nodes.hpp"

namespace vtpm::xenio {

namespace {

/// Removes a directory and the parents it leaves empty, up to `top`.
void remove_upwards(memory_tree& tree, std::string path, std::string_view top) {
  tree.erase(path);
  path.resize(path.rfind('/'));
  while (path.size() > top.size() && tree.children(path).empty()) {
    tree.erase(path);
    path.resize(path.rfind('/'));
  }
}

} // namespace

std::string backend_path(domid domain, std::uint32_t handle) {
  return "/local/domain/0/" + std::string{backend_root} + '/'
    + std::to_string(domain) + '/' + std::to_string(handle);
}

std::string frontend_path(domid domain, std::uint32_t handle) {
  return "/local/domain/" + std::to_string(domain) + "/device/vtpm/"
    + std::to_string(handle);
}

void announce_device(memory_tree& tree, domid domain, std::uint32_t handle,
                     std::string_view uuid) {
  const auto backend = backend_path(domain, handle);
  const auto frontend = frontend_path(domain, handle);
  const auto number = std::to_string(handle);
  tree.set(frontend + "/backend", backend);
  tree.set(frontend + "/backend-id", "0");
  tree.set(frontend + "/state", "1");
  tree.set(frontend + "/handle", number);
  tree.set(backend + "/frontend", frontend);
  tree.set(backend + "/frontend-id", std::to_string(domain));
  tree.set(backend + "/online", "1");
  tree.set(backend + "/state", "1");
  tree.set(backend + "/handle", number);
  tree.set(backend + "/uuid", uuid);
}

void remove_device(memory_tree& tree, domid domain, std::uint32_t handle) {
  remove_upwards(tree, frontend_path(domain, handle), "/local/domain");
  remove_upwards(tree, backend_path(domain, handle),
                 "/local/domain/0/" + std::string{backend_root});
}

} // namespace vtpm::xenio
