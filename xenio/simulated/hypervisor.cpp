#include "xenio/simulated/hypervisor.hpp"

#include <string>

namespace vtpm::xenio::simulated {

namespace {

class granted_page final : public shared_page {
public:
  granted_page(std::shared_ptr<page_memory> memory,
               std::shared_ptr<std::size_t> mappings)
    : shared_page(memory->octets.data()),
      memory_(std::move(memory)),
      mappings_(std::move(mappings)) {
    ++*mappings_;
  }

  ~granted_page() override {
    --*mappings_;
  }

private:
  void about_to_read() const noexcept override {
    ++memory_->reads;
    if (memory_->before_read)
      memory_->before_read(memory_->octets);
  }

  std::shared_ptr<page_memory> memory_;
  std::shared_ptr<std::size_t> mappings_;
};

/// Takes one failure off `left`, if there is one.
bool fails(unsigned& left) noexcept {
  if (left == 0)
    return false;
  --left;
  return true;
}

} // namespace

// -- the guests' side ---------------------------------------------------------

grant_ref hypervisor::grant(domid owner, std::shared_ptr<page_memory> page) {
  const auto ref = next_number_++;
  grants_.emplace(std::pair{owner, ref}, std::move(page));
  return ref;
}

void hypervisor::revoke(domid owner, grant_ref ref) {
  grants_.erase({owner, ref});
}

port hypervisor::open_port(domid owner, std::function<void()> on_ring) {
  const auto number = next_number_++;
  channels_.emplace(std::pair{owner, number}, channel{std::move(on_ring)});
  return number;
}

void hypervisor::close_port(domid owner, port number) {
  channels_.erase({owner, number});
}

void hypervisor::ring_backend(domid owner, port number) {
  const auto found = channels_.find({owner, number});
  if (found == channels_.end() || found->second.local == 0)
    return;
  const auto times
    = inject.events_to_backend ? inject.events_to_backend(owner) : 1u;
  for (auto i = 0u; i < times; ++i)
    deliver(found->second.local);
}

void hypervisor::later(std::function<void()> job) {
  loop_.defer([alive = std::weak_ptr{alive_}, job = std::move(job)] {
    if (!alive.expired())
      job();
  });
}

void hypervisor::deliver(port local) {
  later([this, local] {
    auto bound = bindings_.find(local);
    if (bound == bindings_.end())
      return;
    // The callback may end its own binding.
    const auto on_event = bound->second.on_event;
    (*on_event)();
  });
}

// -- the backend's side -------------------------------------------------------

result<std::unique_ptr<shared_page>> hypervisor::map(domid remote,
                                                     grant_ref ref) {
  const auto found = grants_.find({remote, ref});
  if (fails(inject.failing_maps) || found == grants_.end())
    return error{errc::bad_grant,
                 "domain " + std::to_string(remote) + " has not granted "
                   + std::to_string(ref)};
  return std::unique_ptr<shared_page>{
    std::make_unique<granted_page>(found->second, mappings_)};
}

result<port> hypervisor::bind(domid remote, port remote_port,
                              std::function<void()> on_event) {
  const auto found = channels_.find({remote, remote_port});
  if (fails(inject.failing_binds) || found == channels_.end()
      || found->second.local != 0)
    return error{errc::bad_channel,
                 "domain " + std::to_string(remote) + " has no free port "
                   + std::to_string(remote_port)};
  const auto local = next_number_++;
  bindings_.emplace(local,
                    binding{remote, remote_port,
                            std::make_shared<const std::function<void()>>(
                              std::move(on_event))});
  found->second.local = local;
  if (inject.event_at_bind)
    deliver(local);
  return local;
}

void hypervisor::unbind(port local) {
  const auto bound = bindings_.find(local);
  if (bound == bindings_.end())
    return;
  const auto remote
    = channels_.find({bound->second.remote, bound->second.remote_port});
  if (remote != channels_.end())
    remote->second.local = 0;
  bindings_.erase(bound);
}

void hypervisor::notify(port local) noexcept {
  const auto bound = bindings_.find(local);
  if (bound == bindings_.end())
    return;
  const auto key = std::pair{bound->second.remote, bound->second.remote_port};
  const auto times
    = inject.events_to_guest ? inject.events_to_guest(key.first) : 1u;
  for (auto i = 0u; i < times; ++i)
    later([this, key] {
      const auto found = channels_.find(key);
      if (found == channels_.end())
        return;
      // The guest may die of it.
      const auto on_ring = found->second.on_ring;
      on_ring();
    });
}

} // namespace vtpm::xenio::simulated
