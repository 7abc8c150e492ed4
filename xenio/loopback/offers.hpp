#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "xenio/errc.hpp"
#include "xenio/loopback/descriptor.hpp"
#include "xenio/loopback/page_mapping.hpp"
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
  /// Pages, and doorbells, that one device may offer at a time: the ones in use
  /// and the ones of the next connection.
  static constexpr std::size_t per_device_max = 2;

  using mapping_ptr = std::shared_ptr<page_mapping>;
  using socket_ptr = std::shared_ptr<const descriptor>;

  /// Examines and keeps a page. One that cannot be mapped is kept as the reason
  /// why: the backend shall learn it. Fails with `errc::protocol` when the
  /// number is another device's or the device has too many.
  result<unit> add_page(const device_id& owner, grant_ref number,
                        descriptor file);

  /// The same for a doorbell.
  result<unit> add_doorbell(const device_id& owner, port number,
                            descriptor socket);

  result<mapping_ptr> page(domid domain, grant_ref number) const;

  result<socket_ptr> doorbell(domid domain, port number) const;

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
    result<T> content;
  };

  template <class T>
  using table = std::map<std::pair<domid, std::uint32_t>, entry<T>>;

  template <class T>
  static result<unit> add(table<T>& all, const device_id& owner,
                          std::uint32_t number, result<T> content);

  template <class T>
  static result<T> find(const table<T>& all, domid domain, std::uint32_t number,
                        errc missing);

  /// Forgets departed devices that no backend uses any more.
  void forget_departed();

  table<mapping_ptr> pages_;
  table<socket_ptr> doorbells_;
  std::multimap<device_id, std::weak_ptr<const void>> departed_;
};

} // namespace vtpm::xenio::loopback
