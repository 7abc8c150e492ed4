#pragma once

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <sys/eventfd.h>

#include "tpm/committer.hpp"
#include "tpm/owned_file.hpp"
#include "tpm/slot_format.hpp"
#include "tpm/state_store.hpp"

// Fault model. A disk of 512-octet sectors with a volatile cache:
//
// - A sector is written whole or not at all. Everything else may be cut
//   anywhere and reach the medium in any order.
// - What was written and not synced is read back, until power is cut; then each
//   sector keeps the medium's content or any later one, each by itself.
// - A write through `scripted_committer` is durable once completed, alone: what
//   was in the cache before stays there.
// - A failed write, and one whose process died, has left any of its sectors in
//   the cache.
// - A misdirected write goes through to the medium, whole, in another place.
// - Reads fail where `unreadable` says.
//
// All choices come from the seed, unless `coin` makes them.

namespace vtpm::tests {

/// Two slots in memory. Outlives stores and committers, as a disk would.
struct lying_disk final : tpm::slot_device {
  static constexpr std::size_t size = 2 * tpm::slot_size;

  explicit lying_disk(std::uint64_t seed = 1, std::size_t alignment = 4096)
    : random(seed), visible(size), medium_(size), alignment_(alignment) {
    // nop
  }

  std::size_t alignment() const noexcept override {
    return alignment_;
  }

  tpm::result<unit> read(std::uint64_t offset,
                         std::span<std::uint8_t> target) override {
    assert(offset % alignment_ == 0 && target.size() % alignment_ == 0);
    assert(offset + target.size() <= size);
    const auto first = offset / tpm::sector_size;
    const auto end = (offset + target.size()) / tpm::sector_size;
    const auto bad = unreadable.lower_bound(first);
    if (bad != unreadable.end() && *bad < end)
      return tpm::io_error("cannot read the disk", EIO);
    std::memcpy(target.data(), visible.data() + offset, target.size());
    return unit{};
  }

  tpm::result<unit> sync() override {
    if (fail_next_sync)
      return tpm::io_error("cannot sync the disk",
                           *std::exchange(fail_next_sync, std::nullopt));
    for (const auto& entry : cached_)
      copy_sector(entry.octets, medium_, entry.sector);
    cached_.clear();
    return unit{};
  }

  /// A write enters the cache, whole.
  void write(std::uint64_t offset, byte_view data) {
    for_each_sector(offset, data,
                    [this](auto sector, auto octets) { put(sector, octets); });
  }

  /// Any of the write's sectors enter the cache.
  void write_some(std::uint64_t offset, byte_view data) {
    for_each_sector(offset, data, [this](auto sector, auto octets) {
      if (flip_coin())
        put(sector, octets);
    });
  }

  /// A write goes through to the medium.
  void write_durably(std::uint64_t offset, byte_view data) {
    const auto first = offset / tpm::sector_size;
    const auto end = first + data.size() / tpm::sector_size;
    std::erase_if(cached_, [first, end](const auto& entry) {
      return entry.sector >= first && entry.sector < end;
    });
    for_each_sector(offset, data, [this](auto sector, auto octets) {
      copy_sector(octets, visible, sector);
      copy_sector(octets, medium_, sector);
    });
  }

  /// The process dies; what it was writing may or may not have got out.
  void kill_writer() {
    if (in_flight)
      write_some(in_flight->offset, in_flight->data);
    in_flight.reset();
  }

  /// The process dies and the cache with it. An entry that is lost does not
  /// stop a later one of the same sector from having been kept.
  void cut_power() {
    kill_writer();
    for (const auto& entry : cached_)
      if (flip_coin())
        copy_sector(entry.octets, medium_, entry.sector);
    // Nothing else differs, and this happens very often.
    for (const auto& entry : cached_)
      copy_sector(sector_of(medium_, entry.sector), visible, entry.sector);
    cached_.clear();
  }

  /// One slot as it is read, for tests to look at and to tamper with.
  std::span<std::uint8_t> slot(unsigned number) noexcept {
    return std::span{visible}.subspan(number * tpm::slot_size, tpm::slot_size);
  }

  bool flip_coin() {
    return coin ? coin() : (random() & 1) != 0;
  }

  /// A write that a committer has started.
  struct pending_write {
    std::uint64_t offset;
    byte_vector data;
  };

  std::mt19937_64 random;
  /// Makes the choices, if set; `true` is "gets through".
  std::function<bool()> coin;
  /// What a read returns.
  byte_vector visible;
  std::optional<pending_write> in_flight;
  /// Numbers of sectors, over both slots, whose reading fails with EIO.
  std::set<std::uint64_t> unreadable;
  /// An `errno` value; cleared by use.
  std::optional<int> fail_next_sync;

private:
  struct cached_sector {
    std::uint64_t sector;
    byte_vector octets;
  };

  static void copy_sector(byte_view octets, byte_vector& where,
                          std::uint64_t sector) noexcept {
    std::memcpy(where.data() + sector * tpm::sector_size, octets.data(),
                tpm::sector_size);
  }

  static byte_view sector_of(const byte_vector& where,
                             std::uint64_t sector) noexcept {
    return byte_view{where}.subspan(sector * tpm::sector_size,
                                    tpm::sector_size);
  }

  template <class F>
  void for_each_sector(std::uint64_t offset, byte_view data, F f) {
    assert(offset % alignment_ == 0 && data.size() % alignment_ == 0);
    assert(offset + data.size() <= size);
    for (std::size_t i = 0; i < data.size(); i += tpm::sector_size)
      f((offset + i) / tpm::sector_size, data.subspan(i, tpm::sector_size));
  }

  void put(std::uint64_t sector, byte_view octets) {
    copy_sector(octets, visible, sector);
    cached_.push_back({sector, {octets.begin(), octets.end()}});
  }

  /// What survives a power cut for certain.
  byte_vector medium_;
  /// In the order of writing.
  std::vector<cached_sector> cached_;
  std::size_t alignment_;
};

/// A committer over a `lying_disk` that ends a write only when told to.
struct scripted_committer final : tpm::committer {
  explicit scripted_committer(lying_disk& target)
    : disk_(target), done_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    // nop
  }

  void start(std::uint64_t offset, byte_view data) override {
    assert(!disk_.in_flight && !outcome_);
    disk_.in_flight = {offset, {data.begin(), data.end()}};
    borrowed_ = data;
    ++started;
  }

  int descriptor() const noexcept override {
    return done_.get();
  }

  std::optional<tpm::result<unit>> finish() override {
    auto count = eventfd_t{};
    eventfd_read(done_.get(), &count);
    return std::exchange(outcome_, std::nullopt);
  }

  const char* name() const noexcept override {
    return "scripted";
  }

  /// Returns whether a write waits for `complete` or `fail`.
  bool busy() const noexcept {
    return disk_.in_flight.has_value();
  }

  /// The write is whole and durable.
  void complete() {
    check_untouched();
    disk_.write_durably(disk_.in_flight->offset, disk_.in_flight->data);
    end(unit{});
  }

  /// The write is whole and durable, at `offset` instead of where it belongs.
  void complete_at(std::uint64_t offset) {
    check_untouched();
    disk_.write_durably(offset, disk_.in_flight->data);
    end(unit{});
  }

  /// The write fails, after any of its sectors got into the disk's cache.
  void fail(int os_error) {
    check_untouched();
    disk_.write_some(disk_.in_flight->offset, disk_.in_flight->data);
    end(tpm::io_error("cannot write the disk", os_error));
  }

  /// Writes started so far.
  std::size_t started = 0;

private:
  /// The caller has promised not to touch what is being written.
  void check_untouched() const {
    assert(busy());
    assert(std::equal(borrowed_.begin(), borrowed_.end(),
                      disk_.in_flight->data.begin(),
                      disk_.in_flight->data.end()));
  }

  void end(tpm::result<unit> how) {
    disk_.in_flight.reset();
    outcome_ = std::move(how);
    eventfd_write(done_.get(), 1);
  }

  lying_disk& disk_;
  tpm::owned_descriptor done_;
  byte_view borrowed_;
  std::optional<tpm::result<unit>> outcome_;
};

} // namespace vtpm::tests
