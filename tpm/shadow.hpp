#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tpm/shadow_file.hpp"
#include "tpm/shadow_reader.hpp"

// What a vTPM leaves in memory for its successor. Invariants:
//
// - State, volatile state and the answer of one command appear together.
// - An answer is on record before any of it is in a page; its delivery is noted
//   before and after.
// - A write that cannot be made ends the shadow: nothing outdated is left for a
//   successor to find.
//
// shadow_format.md has the layout and what it does not promise.

namespace vtpm::tpm {

/// Where a shadow is, whose it is, and the key of it.
struct shadow_place {
  std::string path;
  shadow_owner owner;
  secret_bytes key;
};

/// One answer on its way to the record.
struct answer_view {
  frontend_key who;
  request_print request;
  byte_view response;
};

/// The shadow of one running vTPM. Safe from any thread.
class shadow {
public:
  /// Reads what a predecessor left; nullopt if there is nothing, or nothing of
  /// use, which is logged. `errc::locked` if the predecessor still runs.
  static result<std::optional<shadow_content>> load(const shadow_place& place);

  /// Reads state and volatile state of one instant, and nothing else, of a
  /// vTPM that runs or ran; nullopt if there is no shadow. `errc::unusable` if
  /// nothing whole was found: another key, or it was being written.
  static result<std::optional<shadow_content>> look(const shadow_place& place);

  /// Begins with `content`, in place of the shadow that was there.
  /// `errc::exists` if that is something else: a name given by mistake costs
  /// nobody a file.
  static result<std::unique_ptr<shadow>> make(const shadow_place& place,
                                              const shadow_content& content);

  /// Removes the shadow at `path`; leaves anything else.
  static void clear(const std::string& path);

  /// Leaves the file for a successor.
  ~shadow();

  shadow(const shadow&) = delete;
  shadow& operator=(const shadow&) = delete;

  /// Whether everything so far is there. Once false, always false.
  bool works() const;

  /// Replaces the state, and in the same step puts a command's answer on
  /// record, as decided.
  /// @param answer Null if nobody is to hear of it.
  void keep(generation gen, const snapshot_ptr& state, byte_view volatile_state,
            const answer_view* answer);

  /// Puts an answer on record, as decided, that comes with no change of state.
  void record(const answer_view& answer);

  /// Notes how far the answer on record for `who` has come.
  void mark(frontend_key who, delivery how_far);

  /// Makes room for answers to this frontend. Forgets one on record for another
  /// uuid under the same name.
  void attach(frontend_key who, const frontend_uuid& identity);

  /// Returns the answer on record for `who`.
  std::optional<recorded_answer> recall(frontend_key who);

  /// The frontend is gone for good.
  void forget(frontend_key who);

  /// Keeps this beside the state, in place of what it was told before.
  void remember(byte_view platform);

  /// The content is not to be used by anyone, wherever its file is by now:
  /// removes it.
  void discard();

private:
  /// Where the newest half of a cell is, and how much memory each half has.
  struct cell {
    unsigned newest = 1;
    std::size_t reserved[2] = {0, 0};
    bool used = false;
  };

  /// Whose answers a cell holds.
  struct answer_cell {
    std::uint32_t number;
    frontend_uuid uuid{};
    /// When it was last written.
    std::uint64_t sequence = 0;
  };

  shadow(std::string path, shadow_file file, std::span<std::uint8_t> memory,
         shadow_cipher cipher);

  std::span<std::uint8_t> half_of(std::uint32_t number, unsigned which) const;
  void write(std::uint32_t number, half_header header,
             std::span<const byte_view> parts);
  void write_answer(const answer_view& answer, std::uint64_t needs);
  void set_mark(std::uint32_t number, delivery how_far);
  void clear(std::uint32_t number);
  void remove() noexcept;
  std::optional<std::uint32_t> free_cell();
  void begin(const shadow_content& content);
  void attach_locked(frontend_key who, const frontend_uuid& identity);
  void keep_locked(generation gen, const snapshot_ptr& state,
                   byte_view volatile_state, const answer_view* answer);
  void fail(const std::string& why);

  mutable std::mutex mutex_; // guards all below
  std::string path_;
  shadow_file file_;
  std::span<std::uint8_t> memory_;
  shadow_cipher cipher_;
  bool works_ = true;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t volatile_sequence_ = 0;
  std::uint64_t state_sequence_ = 0;
  snapshot_ptr state_;
  std::vector<cell> cells_;
  std::map<frontend_key, answer_cell> answers_;
  std::vector<std::uint32_t> free_;
};

/// Reads /proc/sys/kernel/random/boot_id.
result<boot_id> this_boot();

} // namespace vtpm::tpm
