#pragma once

#include <memory>

#include "xenio/grant_mapper.hpp"

struct xengntdev_handle;

namespace vtpm::xenio::xen {

/// Maps pages that other domains granted, through libxengnttab.
class foreign_grants final : public grant_mapper {
public:
  static result<std::unique_ptr<foreign_grants>> open();

  result<std::unique_ptr<shared_page>> map(domid remote,
                                           grant_ref ref) override;

private:
  explicit foreign_grants(std::shared_ptr<xengntdev_handle> driver) noexcept;

  /// Pages keep it open, too.
  std::shared_ptr<xengntdev_handle> driver_;
};

} // namespace vtpm::xenio::xen
