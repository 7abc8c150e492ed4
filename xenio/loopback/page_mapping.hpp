#pragma once

#include <memory>

#include "xenio/errc.hpp"
#include "xenio/descriptor.hpp"
#include "xenio/shared_page.hpp"

namespace vtpm::xenio::loopback {

/// One page of a memfd, mapped to read and write.
class page_mapping {
public:
  /// Maps the page that a stranger handed us. Accepts memory files only, of
  /// exactly one page and sealed against shrinking and growing: no one can make
  /// an access fault (SIGBUS, mmap(2)). Else `errc::bad_grant`.
  static result<std::shared_ptr<page_mapping>> map(int memory_file);

  page_mapping(const page_mapping&) = delete;
  page_mapping& operator=(const page_mapping&) = delete;

  ~page_mapping();

  std::uint8_t* octets() const noexcept {
    return octets_;
  }

private:
  explicit page_mapping(std::uint8_t* octets) noexcept : octets_(octets) {
    // nop
  }

  std::uint8_t* octets_;
};

/// A view of a mapping that keeps it mapped.
class mapped_page final : public shared_page {
public:
  explicit mapped_page(std::shared_ptr<page_mapping> mapping) noexcept
    : shared_page(mapping->octets()), mapping_(std::move(mapping)) {
    // nop
  }

private:
  std::shared_ptr<page_mapping> mapping_;
};

/// Makes a zeroed page that `page_mapping::map` accepts (memfd_create(2)).
result<descriptor> make_page_file();

} // namespace vtpm::xenio::loopback
