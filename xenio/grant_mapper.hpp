#pragma once

#include <memory>

#include "xenio/errc.hpp"
#include "xenio/shared_page.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio {

/// Maps pages that frontends granted.
class grant_mapper {
public:
  virtual ~grant_mapper() = default;

  /// Maps one page of `remote`, writable; the result unmaps it when destroyed.
  virtual result<std::unique_ptr<shared_page>> map(domid remote, grant_ref ref)
    = 0;
};

} // namespace vtpm::xenio
