#include "tpm/shadow.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <fstream>
#include <utility>

#include <unistd.h>

#include "protocol/big_endian.hpp"
#include "protocol/log.hpp"
#include "tpm/crypto/random.hpp"

namespace vtpm::tpm {

using protocol::store_be;

shadow::shadow(std::string path, shadow_file file,
               std::span<std::uint8_t> memory, shadow_cipher cipher)
  : path_(std::move(path)),
    file_(std::move(file)),
    memory_(memory),
    cipher_(std::move(cipher)),
    cells_(first_answer_cell) {
  // nop
}

shadow::~shadow() = default;

namespace {

/// Makes sure that there is a shadow at `path`, whoever's, or nothing.
result<unit> check_place(const std::string& path) {
  const auto file = shadow_file::look(path);
  if (!file)
    return file.error();
  if (!*file)
    return unit{};
  const auto octets = (*file)->read(shadow_size_max);
  if (octets && starts_as_shadow(*octets))
    return unit{};
  return error{errc::exists,
               path + " is there and is no shadow: remove it or name another"};
}

} // namespace

// -- from one process to the next ---------------------------------------------

result<std::optional<shadow_content>> shadow::load(const shadow_place& place) {
  auto file = shadow_file::open(place.path);
  if (!file)
    return file.error();
  if (!*file)
    return std::optional<shadow_content>{};
  auto octets = (*file)->read(shadow_size_max);
  if (!octets)
    return octets.error();
  auto content = read_shadow(*octets, place.key, place.owner);
  if (!content) {
    log().warn("shadow {} is not used: {}", place.path, content.error());
    return std::optional<shadow_content>{};
  }
  return std::optional{*std::move(content)};
}

result<std::optional<shadow_content>> shadow::look(const shadow_place& place) {
  const auto file = shadow_file::look(place.path);
  if (!file)
    return file.error();
  if (!*file)
    return std::optional<shadow_content>{};
  const auto octets = (*file)->read(shadow_size_max);
  if (!octets)
    return octets.error();
  auto content = read_shadow_state(*octets, place.key, place.owner);
  if (!content)
    return error{errc::unusable,
                 "shadow " + place.path + ": " + content.error()};
  return std::optional{*std::move(content)};
}

result<std::unique_ptr<shadow>> shadow::make(const shadow_place& place,
                                             const shadow_content& content) {
  if (auto free = check_place(place.path); !free)
    return free.error();
  auto salt = std::array<std::uint8_t, salt_size>{};
  fill_random(salt);
  auto cipher = shadow_cipher::make(place.key, place.owner, salt);
  if (!cipher)
    return cipher.error();
  auto file = shadow_file::make(place.path);
  if (!file)
    return file.error();
  if (auto done = file->resize(shadow_size_min); !done)
    return done.error();
  if (auto done = file->reserve(0, shadow_page); !done)
    return done.error();
  auto memory = file->map(shadow_size_max);
  if (!memory)
    return memory.error();
  const auto head = encode_shadow_head(place.owner, salt);
  std::copy(head.begin(), head.end(), memory->begin());
  auto out = std::unique_ptr<shadow>{
    new shadow{place.path, *std::move(file), *memory, *std::move(cipher)}};
  out->begin(content);
  if (!out->works_)
    return error{errc::io, "cannot begin the shadow " + place.path};
  if (auto published = out->file_.publish(); !published)
    return published.error();
  return out;
}

void shadow::begin(const shadow_content& content) {
  for (const auto& answer : content.answers) {
    attach_locked(answer.who, answer.uuid);
    write_answer({answer.who, answer.request, answer.response}, 0);
    if (const auto found = answers_.find(answer.who); found != answers_.end())
      set_mark(found->second.number, answer.mark);
  }
  keep_locked(content.gen, content.state, content.volatile_state, nullptr);
  if (!content.platform.empty())
    remember(content.platform);
}

bool shadow::works() const {
  const auto guard = std::lock_guard{mutex_};
  return works_;
}

void shadow::clear(const std::string& path) {
  if (check_place(path))
    ::unlink(path.c_str());
}

void shadow::discard() {
  const auto guard = std::lock_guard{mutex_};
  remove();
}

/// What cannot be unlinked, or has another name too, is not to be read either.
void shadow::remove() noexcept {
  std::fill(memory_.begin() + shadow_salt_offset,
            memory_.begin() + shadow_head_size, std::uint8_t{0});
  file_.remove();
  works_ = false;
}

/// What a successor would find is older than what guests see from now on.
void shadow::fail(const std::string& why) {
  remove();
  log().error("the shadow ends here, so a crash will reset the TPM: {}", why);
}

// -- cells --------------------------------------------------------------------

std::span<std::uint8_t> shadow::half_of(std::uint32_t number,
                                        unsigned which) const {
  const auto place = place_of(number);
  return memory_.subspan(place.half(which), place.half_size);
}

/// Writes the half of a cell that is not the newest, and it is then.
void shadow::write(std::uint32_t number, half_header header,
                   std::span<const byte_view> parts) {
  if (!works_)
    return;
  auto& target = cells_[number];
  const auto which = 1 - target.newest;
  auto size = half_header_size;
  for (const auto& part : parts)
    size += part.size();
  const auto place = place_of(number);
  if (size > place.half_size) {
    fail("a state of " + std::to_string(size) + " octets has no room");
    return;
  }
  if (size > target.reserved[which]) {
    const auto wanted = std::min(place.half_size, 2 * size);
    if (auto done = file_.reserve(place.half(which), wanted); !done) {
      fail(done.error().detail);
      return;
    }
    target.reserved[which] = wanted;
  }
  if (auto done = cipher_.seal(number, header, parts, half_of(number, which));
      !done) {
    fail(done.error().detail);
    return;
  }
  target.newest = which;
  target.used = true;
}

/// Nothing in the cell is to be found any more, the older half first: at no
/// time is it the only one.
void shadow::clear(std::uint32_t number) {
  auto& target = cells_[number];
  for (const auto which : {1 - target.newest, target.newest})
    if (target.reserved[which] > 0) {
      const auto half = half_of(number, which);
      std::fill_n(half.begin(), half_header_size, std::uint8_t{0});
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  target.used = false;
}

// -- state --------------------------------------------------------------------

void shadow::keep(generation gen, const snapshot_ptr& state,
                  byte_view volatile_state, const answer_view* answer) {
  const auto guard = std::lock_guard{mutex_};
  keep_locked(gen, state, volatile_state, answer);
}

void shadow::keep_locked(generation gen, const snapshot_ptr& state,
                         byte_view volatile_state, const answer_view* answer) {
  assert(state != nullptr);
  // Whoever finds this number in the volatile cell finds the rest complete.
  const auto step = last_sequence_ + 3;
  if (answer != nullptr)
    write_answer(*answer, step);
  if (state != state_) {
    state_ = state;
    state_sequence_ = step - 1;
    auto size = std::array<std::uint8_t, 4>{};
    store_be(size.data(), static_cast<std::uint32_t>(state->permanent.size()));
    const auto parts
      = std::array<byte_view, 3>{size, state->permanent, state->savestate};
    write(state_cell, {state_sequence_, 0, 0, delivery::decided, {}}, parts);
  }
  auto links = std::array<std::uint8_t, 8 + 8>{};
  store_be(store_be(links.data(), gen), state_sequence_);
  const auto parts = std::array<byte_view, 2>{links, volatile_state};
  write(volatile_cell, {step, 0, 0, delivery::decided, {}}, parts);
  last_sequence_ = volatile_sequence_ = step;
}

void shadow::remember(byte_view platform) {
  const auto guard = std::lock_guard{mutex_};
  const auto parts = std::array<byte_view, 1>{platform};
  write(platform_cell,
        {++last_sequence_, volatile_sequence_, 0, delivery::decided, {}},
        parts);
}

// -- answers ------------------------------------------------------------------

void shadow::write_answer(const answer_view& answer, std::uint64_t needs) {
  const auto found = answers_.find(answer.who);
  if (found == answers_.end())
    return; // its frontend is gone
  auto& target = found->second;
  target.sequence = ++last_sequence_;
  const auto head = encode_answer_header(
    {answer.who, target.uuid, answer.request, delivery::decided, {}});
  const auto parts = std::array<byte_view, 2>{head, answer.response};
  write(target.number, {target.sequence, needs, 0, delivery::decided, {}},
        parts);
}

void shadow::record(const answer_view& answer) {
  const auto guard = std::lock_guard{mutex_};
  write_answer(answer, volatile_sequence_);
}

void shadow::set_mark(std::uint32_t number, delivery how_far) {
  const auto& target = cells_[number];
  if (!works_ || !target.used)
    return;
  auto& octet = half_of(number, target.newest)[half_delivery_offset];
  // Between what the page holds before and after: for whoever looks at both
  // once we are gone, and for the compiler.
  std::atomic_ref{octet}.store(static_cast<std::uint8_t>(how_far),
                               std::memory_order_seq_cst);
}

void shadow::mark(frontend_key who, delivery how_far) {
  const auto guard = std::lock_guard{mutex_};
  if (const auto found = answers_.find(who); found != answers_.end())
    set_mark(found->second.number, how_far);
}

void shadow::attach(frontend_key who, const frontend_uuid& identity) {
  const auto guard = std::lock_guard{mutex_};
  attach_locked(who, identity);
}

void shadow::attach_locked(frontend_key who, const frontend_uuid& identity) {
  if (const auto found = answers_.find(who); found != answers_.end()) {
    if (found->second.uuid != identity) {
      clear(found->second.number);
      found->second.uuid = identity;
    }
    return;
  }
  if (const auto number = free_cell())
    answers_.emplace(who, answer_cell{*number, identity, last_sequence_});
}

/// Finds or makes a cell for answers.
std::optional<std::uint32_t> shadow::free_cell() {
  if (!free_.empty()) {
    const auto number = free_.back();
    free_.pop_back();
    return number;
  }
  const auto number = static_cast<std::uint32_t>(cells_.size());
  if (number < first_answer_cell + answers_max) {
    const auto place = place_of(number);
    auto grown = file_.resize(place.offset + 2 * place.half_size);
    if (!grown) {
      fail(grown.error().detail);
      return std::nullopt;
    }
    cells_.emplace_back();
    return number;
  }
  const auto older = [](const auto& a, const auto& b) {
    return a.second.sequence < b.second.sequence;
  };
  const auto oldest = std::ranges::min_element(answers_, older);
  const auto freed = oldest->second.number;
  clear(freed);
  answers_.erase(oldest);
  return freed;
}

std::optional<recorded_answer> shadow::recall(frontend_key who) {
  const auto guard = std::lock_guard{mutex_};
  const auto found = answers_.find(who);
  if (!works_ || found == answers_.end())
    return std::nullopt;
  const auto number = found->second.number;
  const auto& source = cells_[number];
  if (!source.used)
    return std::nullopt;
  const auto half = half_of(number, source.newest);
  const auto header = decode_half_header(half);
  const auto plain = cipher_.open(number, header, half);
  if (!plain)
    return std::nullopt;
  auto answer = decode_answer(*plain);
  if (answer)
    answer->mark = header.mark;
  return answer;
}

void shadow::forget(frontend_key who) {
  const auto guard = std::lock_guard{mutex_};
  const auto found = answers_.find(who);
  if (found == answers_.end())
    return;
  if (works_)
    clear(found->second.number);
  free_.push_back(found->second.number);
  answers_.erase(found);
}

// -- the machine --------------------------------------------------------------

result<boot_id> this_boot() {
  const auto* path = "/proc/sys/kernel/random/boot_id";
  auto source = std::ifstream{path};
  auto out = boot_id{};
  if (!source.read(out.data(), out.size()))
    return io_error(std::string{"cannot read "} + path, EIO);
  return out;
}

} // namespace vtpm::tpm
