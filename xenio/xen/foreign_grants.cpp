#include "xenio/xen/foreign_grants.hpp"

#include <cerrno>
#include <utility>

#include <sys/mman.h>

// C, and does not say so.
extern "C" {
#include <xengnttab.h>
}

#include "xenio/xen/driver.hpp"

namespace vtpm::xenio::xen {

namespace {

using driver_ptr = std::shared_ptr<xengnttab_handle>;

class foreign_page final : public shared_page {
public:
  foreign_page(driver_ptr driver, void* octets) noexcept
    : shared_page(static_cast<std::uint8_t*>(octets)),
      driver_(std::move(driver)) {
    // nop
  }

  ~foreign_page() override {
    ::xengnttab_unmap(driver_.get(), page(), 1);
  }

private:
  driver_ptr driver_;
};

} // namespace

foreign_grants::foreign_grants(driver_ptr driver) noexcept
  : driver_(std::move(driver)) {
  // nop
}

result<std::unique_ptr<foreign_grants>> foreign_grants::open() {
  driver_ptr driver{::xengnttab_open(silent_logger(), 0),
                    [](xengnttab_handle* handle) {
                      if (handle != nullptr)
                        ::xengnttab_close(handle);
                    }};
  if (driver == nullptr)
    return driver_error("/dev/xen/gntdev", "xen-gntdev", errno);
  return std::unique_ptr<foreign_grants>{new foreign_grants{std::move(driver)}};
}

result<std::unique_ptr<shared_page>> foreign_grants::map(domid remote,
                                                         grant_ref ref) {
  auto* const octets = ::xengnttab_map_grant_ref(driver_.get(), remote, ref,
                                                 PROT_READ | PROT_WRITE);
  if (octets == nullptr)
    return error{errc::bad_grant,
                 "its grant " + std::to_string(ref) + " cannot be mapped: "
                   + std::generic_category().message(errno)};
  return std::unique_ptr<shared_page>{
    std::make_unique<foreign_page>(driver_, octets)};
}

} // namespace vtpm::xenio::xen
