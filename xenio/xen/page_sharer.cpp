#include "xenio/xen/page_sharer.hpp"

#include <cerrno>
#include <string>
#include <utility>

// C, and does not say so.
extern "C" {
#include <xengnttab.h>
}

#include "xenio/xen/driver.hpp"

namespace vtpm::xenio::xen {

namespace {

using driver_ptr = std::shared_ptr<xengntshr_handle>;

class gntalloc_page final : public granted_page {
public:
  gntalloc_page(driver_ptr driver, void* octets, grant_ref ref) noexcept
    : granted_page(static_cast<std::uint8_t*>(octets), ref),
      driver_(std::move(driver)) {
    // nop
  }

  ~gntalloc_page() override {
    // The kernel keeps it for as long as the other domain has it mapped.
    ::xengntshr_unshare(driver_.get(), page(), 1);
  }

private:
  driver_ptr driver_;
};

class gntalloc_sharer final : public page_sharer {
public:
  explicit gntalloc_sharer(driver_ptr driver) noexcept
    : driver_(std::move(driver)) {
    // nop
  }

  result<std::unique_ptr<granted_page>> share(domid with) override {
    grant_ref ref = 0;
    constexpr auto writable = 1;
    auto* const octets
      = ::xengntshr_share_pages(driver_.get(), with, 1, &ref, writable);
    if (octets == nullptr)
      return io_error("cannot grant a page to domain " + std::to_string(with),
                      errno);
    return std::unique_ptr<granted_page>{
      std::make_unique<gntalloc_page>(driver_, octets, ref)};
  }

private:
  driver_ptr driver_;
};

} // namespace

result<std::unique_ptr<page_sharer>> open_page_sharer() {
  driver_ptr driver{::xengntshr_open(silent_logger(), 0),
                    [](xengntshr_handle* handle) {
                      if (handle != nullptr)
                        ::xengntshr_close(handle);
                    }};
  if (driver == nullptr)
    return driver_error("/dev/xen/gntalloc", "xen-gntalloc", errno);
  return std::unique_ptr<page_sharer>{
    std::make_unique<gntalloc_sharer>(std::move(driver))};
}

} // namespace vtpm::xenio::xen
