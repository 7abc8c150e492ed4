#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "xenio/errc.hpp"
#include "xenio/descriptor.hpp"
#include "xenio/loopback/page_mapping.hpp"
#include "xenio/loopback/watched_doorbell.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::loopback {

/// One device of one guest.
struct device_id {
  domid domain;
  std::uint32_t handle;

  friend auto operator<=>(const device_id&, const device_id&) = default;
};

/// Pages and doorbells that frontends have offered, until a backend asks for
/// them by number. Numbers belong to a domain, as on Xen: a device cannot take
/// one that another device of its domain has.
class offers {
public:
  /// Pages, and doorbells, that are kept for one device: those in use and those
  /// of the next connection. One more replaces the oldest.
  static constexpr std::size_t per_device_max = 2;

  using mapping_ptr = std::shared_ptr<page_mapping>;
  using doorbell_ptr = std::shared_ptr<watched_doorbell>;

  /// @param loop Outlives this and every doorbell taken from it.
  explicit offers(event_loop& loop) : loop_(loop) {
    // nop
  }

  offers(const offers&) = delete;
  offers& operator=(const offers&) = delete;

  /// Examines and keeps a page. One that cannot be mapped is kept as the reason
  /// why: the backend shall learn it. Fails with `errc::protocol` when the
  /// number is another device's.
  result<unit> add_page(const device_id& owner, grant_ref number,
                        descriptor file);

  /// The same for a doorbell.
  result<unit> add_doorbell(const device_id& owner, port number,
                            descriptor socket);

  result<mapping_ptr> page(domid domain, grant_ref number) const;

  result<doorbell_ptr> doorbell(domid domain, port number) const;

  /// Forgets what a device has offered. What a backend still uses lives on
  /// until it lets go.
  void withdraw(const device_id& owner);

  /// Returns whether a backend still uses something that this device offered
  /// before it was withdrawn.
  bool in_use(const device_id& owner);

private:
  /// One kind of offer, by domain and number.
  template <class T>
  struct entry {
    device_id owner;
    /// Goes up with each offer.
    std::uint64_t age;
    result<T> content;
  };

  template <class T>
  using table = std::map<std::pair<domid, std::uint32_t>, entry<T>>;

  template <class T>
  result<unit> add(table<T>& all, const device_id& owner, std::uint32_t number,
                   result<T> content);

  template <class T>
  static result<T> find(const table<T>& all, domid domain, std::uint32_t number,
                        errc missing);

  /// Forgets departed devices that no backend uses any more.
  void forget_departed();

  event_loop& loop_;
  table<mapping_ptr> pages_;
  table<doorbell_ptr> doorbells_;
  std::uint64_t next_age_ = 0;
  std::multimap<device_id, std::weak_ptr<const void>> departed_;
};

} // namespace vtpm::xenio::loopback
