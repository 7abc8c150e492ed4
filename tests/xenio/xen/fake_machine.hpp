#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <sys/eventfd.h>

#include "protocol/tpmif.hpp"
#include "xenio/descriptor.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/xen/event_device.hpp"
#include "xenio/xen/page_sharer.hpp"

namespace vtpm::tests {

/// Two domains' pages and event channels, without a hypervisor. As on Xen a
/// port can be bound once, is free again when the other end is closed, and the
/// bind itself rings at the end that binds. Safe from any thread.
class fake_machine : public std::enable_shared_from_this<fake_machine> {
public:
  std::unique_ptr<xenio::xen::event_device> events() {
    return std::make_unique<device>(shared_from_this());
  }

  std::unique_ptr<xenio::xen::page_sharer> pages() {
    return std::make_unique<sharer>(shared_from_this());
  }

  std::unique_ptr<xenio::grant_mapper> grants() {
    return std::make_unique<mapper>(shared_from_this());
  }

  /// Returns how many ports are open, at either end.
  std::size_t open_ports() const {
    const std::lock_guard guard{mutex_};
    return ports_.size();
  }

  /// Returns how many pages are granted.
  std::size_t granted_pages() const {
    const std::lock_guard guard{mutex_};
    return pages_.size();
  }

private:
  struct alignas(8) page_octets {
    std::array<std::uint8_t, protocol::page_size> octets = {};
  };

  using page_ptr = std::shared_ptr<page_octets>;

  class granted final : public xenio::xen::granted_page {
  public:
    granted(std::shared_ptr<fake_machine> machine, page_ptr memory,
            xenio::grant_ref ref)
      : granted_page(memory->octets.data(), ref),
        machine_(std::move(machine)),
        memory_(std::move(memory)) {
      // nop
    }

    ~granted() override {
      const std::lock_guard guard{machine_->mutex_};
      machine_->pages_.erase(ref());
    }

  private:
    std::shared_ptr<fake_machine> machine_;
    page_ptr memory_;
  };

  class sharer final : public xenio::xen::page_sharer {
  public:
    explicit sharer(std::shared_ptr<fake_machine> machine)
      : machine_(std::move(machine)) {
      // nop
    }

    xenio::result<std::unique_ptr<xenio::xen::granted_page>> share(
      xenio::domid) override {
      auto memory = std::make_shared<page_octets>();
      const std::lock_guard guard{machine_->mutex_};
      const auto ref = machine_->next_ref_++;
      machine_->pages_.emplace(ref, memory);
      return std::unique_ptr<xenio::xen::granted_page>{
        std::make_unique<granted>(machine_, std::move(memory), ref)};
    }

  private:
    std::shared_ptr<fake_machine> machine_;
  };

  class mapped final : public xenio::shared_page {
  public:
    explicit mapped(page_ptr memory)
      : shared_page(memory->octets.data()), memory_(std::move(memory)) {
      // nop
    }

  private:
    page_ptr memory_;
  };

  class mapper final : public xenio::grant_mapper {
  public:
    explicit mapper(std::shared_ptr<fake_machine> machine)
      : machine_(std::move(machine)) {
      // nop
    }

    xenio::result<std::unique_ptr<xenio::shared_page>> map(
      xenio::domid, xenio::grant_ref ref) override {
      const std::lock_guard guard{machine_->mutex_};
      const auto page = machine_->pages_.find(ref);
      if (page == machine_->pages_.end())
        return xenio::error{xenio::errc::bad_grant, "no such grant"};
      return std::unique_ptr<xenio::shared_page>{
        std::make_unique<mapped>(page->second)};
    }

  private:
    std::shared_ptr<fake_machine> machine_;
  };

  class device;

  struct end {
    device* owner;
    /// The other end; 0 while unbound.
    xenio::port peer;
  };

  class device final : public xenio::xen::event_device {
  public:
    explicit device(std::shared_ptr<fake_machine> machine)
      : machine_(std::move(machine)) {
      // nop
    }

    ~device() override {
      const std::lock_guard guard{machine_->mutex_};
      std::vector<xenio::port> own;
      for (const auto& [number, one] : machine_->ports_)
        if (one.owner == this)
          own.push_back(number);
      for (const auto number : own)
        close(number);
    }

    int descriptor() const noexcept override {
      return bell_.get();
    }

    xenio::result<xenio::port> bind_interdomain(
      xenio::domid, xenio::port remote_port) override {
      const std::lock_guard guard{machine_->mutex_};
      const auto remote = machine_->ports_.find(remote_port);
      if (remote == machine_->ports_.end() || remote->second.peer != 0)
        return xenio::error{xenio::errc::bad_channel, "no such port"};
      const auto local = machine_->next_port_++;
      machine_->ports_.emplace(local, end{this, remote_port});
      remote->second.peer = local;
      pend(local);
      return local;
    }

    xenio::result<xenio::port> bind_unbound(xenio::domid) override {
      const std::lock_guard guard{machine_->mutex_};
      const auto local = machine_->next_port_++;
      machine_->ports_.emplace(local, end{this, 0});
      return local;
    }

    void unbind(xenio::port local) noexcept override {
      const std::lock_guard guard{machine_->mutex_};
      close(local);
    }

    void notify(xenio::port local) noexcept override {
      const std::lock_guard guard{machine_->mutex_};
      const auto peer = machine_->ports_.at(local).peer;
      if (peer != 0)
        machine_->ports_.at(peer).owner->pend(peer);
    }

    xenio::result<xenio::port> take() override {
      const std::lock_guard guard{machine_->mutex_};
      if (pending_.empty())
        return xenio::error{xenio::errc::io, "this would have blocked"};
      const auto local = pending_.front();
      pending_.pop_front();
      if (pending_.empty()) {
        eventfd_t ignored;
        ::eventfd_read(bell_.get(), &ignored);
      }
      return local;
    }

    void unmask(xenio::port) noexcept override {
      // Events are queued as they come.
    }

  private:
    /// The caller holds the machine's lock, here and below.
    void pend(xenio::port local) {
      if (std::find(pending_.begin(), pending_.end(), local) != pending_.end())
        return;
      pending_.push_back(local);
      ::eventfd_write(bell_.get(), 1);
    }

    void close(xenio::port local) noexcept {
      const auto entry = machine_->ports_.find(local);
      if (entry == machine_->ports_.end())
        return;
      if (entry->second.peer != 0)
        machine_->ports_.at(entry->second.peer).peer = 0;
      machine_->ports_.erase(entry);
    }

    std::shared_ptr<fake_machine> machine_;
    std::deque<xenio::port> pending_;
    xenio::descriptor bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  };

  mutable std::mutex mutex_;
  std::map<xenio::grant_ref, page_ptr> pages_;
  std::map<xenio::port, end> ports_;
  xenio::grant_ref next_ref_ = 8;
  xenio::port next_port_ = 20;
};

} // namespace vtpm::tests
