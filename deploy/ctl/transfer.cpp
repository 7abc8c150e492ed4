#include "deploy/ctl/transfer.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "deploy/vtpmd/shadow_paths.hpp"
#include "tpm/block_file.hpp"
#include "tpm/libtpms_engine.hpp"
#include "tpm/owned_file.hpp"
#include "tpm/shadow.hpp"
#include "tpm/shadow_file.hpp"
#include "tpm/swtpm_state.hpp"

namespace vtpm::deploy {

namespace {

/// Reads a file of at most the size of an export, and one octet of what is
/// longer, for `read_export_lock` to refuse.
tpm::result<byte_vector> read_export(const std::string& path) {
  const auto file = tpm::owned_descriptor{
    ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!file && errno == ENOENT)
    return tpm::error{tpm::errc::not_found, "there is no " + path};
  if (!file)
    return tpm::io_error("cannot open " + path, errno);
  auto octets = byte_vector(tpm::export_size_max + 1);
  std::size_t size = 0;
  while (size < octets.size()) {
    const auto got
      = ::read(file.get(), octets.data() + size, octets.size() - size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return tpm::io_error("cannot read " + path, errno);
    if (got == 0)
      break;
    size += static_cast<std::size_t>(got);
  }
  octets.resize(size);
  return octets;
}

tpm::result<unit> write_export(const std::string& path, byte_view octets) {
  auto file = tpm::unpublished_file::make(path);
  if (!file)
    return file.error();
  auto written
    = tpm::write_all(file->descriptor(), octets.data(), octets.size(), path);
  if (!written)
    return written.error();
  return file->publish();
}

tpm::export_content content_of(const tpm::state_store::opened& opened) {
  const auto status = opened.store->status();
  return {status.version, status.id, status.durable, *opened.state, {}};
}

std::vector<tpm::shadow_place> places_of(const shadow_origin& origin,
                                         const tpm::uuid& id,
                                         const tpm::boot_id& boot,
                                         byte_view key) {
  auto paths = std::vector{origin.shadow_path};
  if (origin.shadow_path.empty())
    paths = shadow_paths(origin.control_path, id);
  auto out = std::vector<tpm::shadow_place>{};
  for (const auto& path : paths)
    out.push_back({path, {id, boot}, {key.begin(), key.end()}});
  return out;
}

/// Reads the state and the volatile state of one instant, no older than what is
/// stored, from the shadow.
tpm::result<tpm::export_content> running_content(
  const tpm::state_store::opened& opened, const shadow_origin& origin) {
  auto out = content_of(opened);
  const auto boot = tpm::this_boot();
  if (!boot)
    return boot.error();
  auto problem = tpm::error{
    tpm::errc::not_found,
    "there is no volatile state of this TPM: its vtpmd has no shadow, or keeps "
    "it elsewhere (--control, --shadow), or was not started since the machine "
    "was"};
  for (const auto& place :
       places_of(origin, out.id, *boot, opened.store->shadow_key())) {
    auto found = tpm::shadow::look(place);
    if (!found)
      problem = found.error();
    else if (*found && (*found)->gen >= out.gen) {
      out.gen = (*found)->gen;
      out.state = *(*found)->state;
      out.volatile_state = std::move((*found)->volatile_state);
      return out;
    }
  }
  return problem;
}

/// How often a state is read that a vtpmd goes on writing: a read that spans
/// two commits does not fit together.
constexpr auto read_tries_max = 100;
constexpr auto read_pause = std::chrono::milliseconds{10};

/// Reads the newest state, of a vtpmd that runs too. A slot opens whole or not
/// at all, so what is found is one generation; it is synced before it counts.
tpm::result<tpm::export_content> read_state(const export_command& wanted) {
  const auto& from = wanted.from;
  const auto key = tpm::load_local_key(from.key_path);
  if (!key)
    return key.error();
  for (auto tries = read_tries_max;; --tries) {
    const auto looked = tpm::block_file::inspect(from.state_path);
    if (!looked)
      return looked.error();
    const auto opened = tpm::state_store::open(
      *looked->file, *key, std::nullopt, /*accept_older=*/false);
    auto content = !opened   ? tpm::result<tpm::export_content>{opened.error()}
      : wanted.with_volatile ? running_content(*opened, wanted.shadow)
                             : content_of(*opened);
    if (content || !looked->in_use || tries == 0)
      return content;
    std::this_thread::sleep_for(read_pause);
  }
}

/// Returns whether the engine takes a state, without keeping what it makes of
/// it.
tpm::result<unit> try_state(const tpm::export_content& content) {
  auto state = std::make_shared<const tpm::snapshot>(content.state);
  const auto powered = content.volatile_state.empty()
    ? tpm::power_on_libtpms(content.version, std::move(state),
                            tpm::startup::none)
    : tpm::resume_libtpms(content.version, std::move(state),
                          content.volatile_state);
  if (!powered)
    return tpm::error{powered.error().code,
                      "the TPM does not take that state: "
                        + powered.error().detail};
  return unit{};
}

/// Leaves the volatile state for the first vtpmd. It remembers no platform, so
/// the guest's coming is no boot.
tpm::result<unit> leave_shadow(const shadow_origin& origin,
                               const tpm::export_content& content,
                               const tpm::uuid& id, tpm::generation gen,
                               byte_view key) {
  const auto boot = tpm::this_boot();
  if (!boot)
    return boot.error();
  auto left = tpm::shadow_content{};
  left.gen = gen;
  left.state = std::make_shared<const tpm::snapshot>(content.state);
  left.volatile_state = content.volatile_state;
  auto problem = tpm::error{tpm::errc::unusable, "there is no place for it"};
  for (const auto& place : places_of(origin, id, *boot, key)) {
    if (const auto there = tpm::shadow_file::look(place.path); there && *there)
      return tpm::error{tpm::errc::exists,
                        "there is a shadow " + place.path
                          + ": remove it if no vtpmd uses it"};
    auto made = tpm::shadow::make(place, left);
    if (made)
      return unit{};
    problem = made.error();
  }
  return problem;
}

/// What was read of an origin.
struct origin_content {
  tpm::export_content content;
  std::string left_behind;
};

tpm::result<origin_content> read_from(const export_origin& origin) {
  const auto octets = read_export(origin.path);
  if (!octets)
    return octets.error();
  const auto lock = tpm::read_export_lock(*octets);
  if (!lock)
    return tpm::error{lock.error().code,
                      origin.path + ": " + lock.error().detail};
  if (lock->kind != kind_of(origin.secret))
    return tpm::error{tpm::errc::wrong_key,
                      origin.path
                        + (lock->kind == tpm::export_lock_kind::key_file
                             ? " is locked with a key file: give --key-file"
                             : " is locked with a passphrase, not a key file")};
  const auto secret = read_secret(origin.secret);
  if (!secret)
    return secret.error();
  const auto key = tpm::derive_export_key(*lock, *secret);
  if (!key)
    return key.error();
  auto content = tpm::open_export(*octets, *key);
  if (!content)
    return tpm::error{content.error().code,
                      origin.path + ": " + content.error().detail};
  return origin_content{*std::move(content), {}};
}

tpm::result<origin_content> read_from(const swtpm_origin& origin) {
  auto found = tpm::read_swtpm_directory(origin.path, origin.version);
  if (!found)
    return found.error();
  auto out = origin_content{};
  out.content
    = {found->version, tpm::make_uuid(), 1, std::move(found->state), {}};
  if (found->volatile_ignored)
    out.left_behind = "its volatile state: the TPM starts as after a reset";
  return out;
}

} // namespace

tpm::result<transferred> run_export(const export_command& wanted) {
  const auto content = read_state(wanted);
  if (!content)
    return content.error();
  const auto secret = read_secret(wanted.secret);
  if (!secret)
    return secret.error();
  const auto lock = tpm::make_export_lock(kind_of(wanted.secret));
  const auto key = tpm::derive_export_key(lock, *secret);
  if (!key)
    return key.error();
  const auto octets = tpm::seal_export(*content, lock, *key);
  if (!octets)
    return octets.error();
  const auto written = write_export(wanted.to, *octets);
  if (!written)
    return written.error();
  return transferred{content->version, content->id, content->gen, {}};
}

tpm::result<transferred> run_import(const import_command& wanted) {
  const auto read = std::visit(
    [](const auto& origin) { return read_from(origin); }, wanted.from);
  if (!read)
    return read.error();
  const auto& content = read->content;
  const auto taken = try_state(content);
  if (!taken)
    return taken.error();
  const auto id = wanted.id.value_or(content.id);
  // Generation 0 is what a store holds before its first commit.
  const auto gen = std::max<tpm::generation>(content.gen, 1);
  const auto stored
    = store_new_state(wanted.to, content.version, id, gen, content.state,
                      tpm::committer_kind::automatic);
  if (!stored)
    return stored.error();
  auto left_behind = read->left_behind;
  if (!content.volatile_state.empty())
    if (auto made = leave_shadow(wanted.shadow, content, id, gen, *stored);
        !made)
      left_behind = "its volatile state: " + made.error().detail;
  return transferred{content.version, id, gen, left_behind};
}

} // namespace vtpm::deploy
