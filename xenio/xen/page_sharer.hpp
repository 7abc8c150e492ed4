#pragma once

#include <memory>

#include "xenio/errc.hpp"
#include "xenio/shared_page.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::xen {

/// A page of ours that another domain may map.
class granted_page : public shared_page {
public:
  /// Returns what the other domain maps it by.
  grant_ref ref() const noexcept {
    return ref_;
  }

protected:
  granted_page(std::uint8_t* octets, grant_ref ref) noexcept
    : shared_page(octets), ref_(ref) {
    // nop
  }

private:
  grant_ref ref_;
};

/// Grants pages: libxengnttab, or what a test puts in its place.
class page_sharer {
public:
  virtual ~page_sharer() = default;

  /// Makes a zeroed page that `with` may map and write.
  virtual result<std::unique_ptr<granted_page>> share(domid with) = 0;
};

result<std::unique_ptr<page_sharer>> open_page_sharer();

} // namespace vtpm::xenio::xen
