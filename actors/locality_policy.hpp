#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xenio/types.hpp"

namespace vtpm::actors {

/// Localities a frontend may use: 0..4 and the administrator's 8.
class locality_set {
public:
  constexpr void insert(std::uint8_t locality) noexcept {
    if (locality < 16)
      bits_ = static_cast<std::uint16_t>(bits_ | (1u << locality));
  }

  constexpr void insert(const locality_set& others) noexcept {
    bits_ = static_cast<std::uint16_t>(bits_ | others.bits_);
  }

  constexpr bool contains(std::uint8_t locality) const noexcept {
    return locality < 16 && ((bits_ >> locality) & 1) != 0;
  }

  friend bool operator==(const locality_set&, const locality_set&) = default;

private:
  std::uint16_t bits_ = 0;
};

/// Who a frontend is, as far as rules can match it.
struct frontend_identity {
  xenio::domid domain = 0;
  std::uint32_t handle = 0;
  /// 36 characters, lower case; of the backend's node, which the guest cannot
  /// write.
  std::string uuid;
};

/// One rule of the configuration. A field without value matches any.
struct locality_rule {
  std::optional<xenio::domid> domain;
  std::optional<std::uint32_t> handle;
  /// 36 characters, lower case.
  std::optional<std::string> uuid;
  locality_set allowed;

  /// Reads "domid=3,handle=0,uuid=*:0,2": one field or more, in any order, each
  /// once, exact or "*" (a field left out is "*" too), a colon, one locality or
  /// more of 0..4 and 8. The UUID may be in either case. A security label is
  /// refused as what it is: no hypervisor library tells us one. When `text` is
  /// not a rule, puts what is wrong with it into `problem`, in one line.
  static std::optional<locality_rule> parse(std::string_view text,
                                            std::string& problem);
};

/// Deny by default: a frontend gets {0} and what all matching rules add.
locality_set allowed_localities(const std::vector<locality_rule>& rules,
                                const frontend_identity& who);

} // namespace vtpm::actors
