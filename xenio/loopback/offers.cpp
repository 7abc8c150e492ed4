#include "xenio/loopback/offers.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "xenio/loopback/doorbell.hpp"

namespace vtpm::xenio::loopback {

template <class T>
result<unit> offers::add(table<T>& all, const device_id& owner,
                         std::uint32_t number, result<T> content) {
  const auto key = std::pair{owner.domain, number};
  const auto known = all.find(key);
  if (known != all.end() && known->second.owner != owner)
    return error{errc::protocol,
                 "number " + std::to_string(number) + " is another device's"};
  all.insert_or_assign(key, entry<T>{owner, next_age_++, std::move(content)});
  auto oldest = all.end();
  std::size_t count = 0;
  for (auto item = all.lower_bound({owner.domain, 0});
       item != all.end() && item->first.first == owner.domain; ++item) {
    if (item->second.owner != owner)
      continue;
    ++count;
    if (oldest == all.end() || item->second.age < oldest->second.age)
      oldest = item;
  }
  if (count > per_device_max)
    all.erase(oldest);
  return unit{};
}

template <class T>
result<T> offers::find(const table<T>& all, domid domain, std::uint32_t number,
                       errc missing) {
  auto known = all.find(std::pair{domain, number});
  if (known == all.end())
    return error{missing,
                 "domain " + std::to_string(domain)
                   + " has offered nothing under number "
                   + std::to_string(number)};
  return known->second.content;
}

result<unit> offers::add_page(const device_id& owner, grant_ref number,
                              descriptor file) {
  return add(pages_, owner, number, page_mapping::map(file.get()));
}

result<unit> offers::add_doorbell(const device_id& owner, port number,
                                  descriptor socket) {
  auto checked = check_doorbell(socket.get());
  return add(doorbells_, owner, number,
             checked ? result<doorbell_ptr>{watched_doorbell::make(
               loop_, std::move(socket))}
                     : result<doorbell_ptr>{checked.error()});
}

result<offers::mapping_ptr> offers::page(domid domain, grant_ref number) const {
  return find(pages_, domain, number, errc::bad_grant);
}

result<offers::doorbell_ptr> offers::doorbell(domid domain, port number) const {
  return find(doorbells_, domain, number, errc::bad_channel);
}

void offers::withdraw(const device_id& owner) {
  std::vector<std::shared_ptr<const void>> mine;
  const auto take = [&](auto& all) {
    std::erase_if(all, [&](const auto& item) {
      if (item.second.owner != owner)
        return false;
      if (item.second.content)
        mine.push_back(*item.second.content);
      return true;
    });
  };
  take(pages_);
  take(doorbells_);
  for (const auto& one : mine)
    departed_.emplace(owner, one);
  mine.clear();
  forget_departed();
}

bool offers::in_use(const device_id& owner) {
  forget_departed();
  return departed_.contains(owner);
}

void offers::forget_departed() {
  std::erase_if(departed_,
                [](const auto& item) { return item.second.expired(); });
}

} // namespace vtpm::xenio::loopback
