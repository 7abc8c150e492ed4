#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/counter_rule.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/snapshot.hpp"

// Two slots and a key. Invariants:
//
// - The slot that holds the newest acknowledged generation is never written.
// - A slot is written whole before its key is asked for, and its key is
//   replaced before anything it holds is acknowledged.
// - Only `acknowledge` makes a `durable_receipt`.
// - Nothing here creates a state where one could not be opened.
// - What is read at open is synced before it counts as durable.
// - Slots name their predecessor, so that one that was put back shows.
//
// state_format.md has the layout and the rule that picks the live slot.

namespace vtpm::tpm {

/// Proof that generation `through` and all before it are on stable storage.
/// Only a `state_store` makes one that says anything.
class durable_receipt {
public:
  /// Proves nothing: generation zero needs no storage.
  durable_receipt() = default;

  generation through() const noexcept {
    return through_;
  }

private:
  friend class state_store;

  explicit durable_receipt(generation through) noexcept : through_(through) {
    // nop
  }

  generation through_ = 0;
};

/// 16 octets, as libuuid's and Xen's tools print them.
using uuid = std::array<std::uint8_t, 16>;

/// Returns the 36-character lower-case form.
std::string to_string(const uuid& id);

/// Reads 36 characters, upper or lower case.
std::optional<uuid> parse_uuid(std::string_view text) noexcept;

/// Returns a random (version 4) uuid.
uuid make_uuid();

/// What the key authority keeps for one vTPM, 64 octets as on the TPM Manager's
/// wire: slot key 32 and SHA-256 32 of the slot as written. `local` keeps none.
struct key_record {
  secret_bytes key;
  std::array<std::uint8_t, 32> slot_digest{};
  /// Of a store that is counted: what the counter must reach.
  std::uint64_t number = 0;
};

/// The secret behind authority `local`, from its 0600 file.
struct local_key {
  secret_bytes octets;
  static constexpr std::size_t size = 32;
};

/// Reads the key file. Refuses one that others may read.
result<local_key> load_local_key(const std::string& path);

/// Makes a key file, 0600, synced with its directory; refuses to overwrite.
result<local_key> create_local_key(const std::string& path);

/// Storage that slots live on: a file or block device, or a test's disk.
/// Reads block and happen at start only; writes go through a `committer`.
class slot_device {
public:
  virtual ~slot_device();

  /// Returns the alignment, in octets, of offset, size and memory of a write.
  virtual std::size_t alignment() const noexcept = 0;

  /// Reads `target.size()` octets at `offset`; offset, size and memory are
  /// aligned as for a write.
  virtual result<unit> read(std::uint64_t offset,
                            std::span<std::uint8_t> target)
    = 0;

  /// Makes durable whatever an earlier opener may have written and not lived to
  /// see acknowledged: nothing is built on what a power cut could still undo.
  virtual result<unit> sync() = 0;
};

/// The size of one slot; the second starts where the first ends. 2.0 NV alone
/// may reach 176832 octets (NV_MEMORY_SIZE of libtpms 0.9).
inline constexpr std::size_t slot_size = 256 * 1024;

/// One slot write in the making: what to give to the `committer`, and the
/// record that the authority must hold before `acknowledge`.
struct slot_write {
  std::uint64_t offset;
  /// Aligned; owned by the store and valid until the next `prepare`.
  byte_view data;
  key_record record;
};

/// What the slots look like, for the log and for status.
struct store_status {
  tpm_version version;
  uuid id;
  generation durable;
  /// 0 or 1: which slot holds `durable`.
  unsigned live_slot;
};

/// The two slots of one vTPM, opened.
class state_store {
public:
  /// An opened store and the newest state in it.
  struct opened;

  /// Syncs the device, examines both slots and opens the live one, by the rule
  /// of authority `local`: the highest intact generation is live if the other
  /// slot is older, torn or empty; if the other is damaged and not provably
  /// older (`errc::damage`), or shows that something older was put back
  /// (`errc::rollback`), refuses unless `accept_older`.
  /// @param expected Refuses a state of the other version; nullopt takes any.
  static result<opened> open(slot_device& device, const local_key& key,
                             std::optional<tpm_version> expected,
                             bool accept_older);

  /// The same by the rule of an authority that keeps records: the slot that
  /// `record` names is live, the other may be anything and is written next. An
  /// older copy of the state is refused, always (`errc::rollback`); nobody has
  /// its key any more, so there is nothing to accept.
  /// @param record What the authority holds for this vTPM.
  static result<opened> open(slot_device& device, const key_record& record,
                             std::optional<tpm_version> expected);

  /// The same for a store of authority `local` that is counted: the newest
  /// image must have the number that counter_rule.hpp wants, or it is refused
  /// with `errc::rollback`. Where the slots alone leave it open which of them
  /// is live, the number decides.
  ///
  /// Before anything it holds is acted upon, a counter that is behind has to be
  /// raised, and the state has to be committed once more: images that were
  /// written and never acknowledged may lie about, and have the next number.
  /// @param adopt Takes the newest image whatever its number, if any: for a
  ///              store whose counter is gone, or that had none.
  static result<opened> open(slot_device& device, const local_key& key,
                             std::optional<tpm_version> expected,
                             const counter_reading& counter, bool adopt);

  /// A store on a device whose two slots are empty; refuses any other with
  /// `errc::exists`. Holds generation 0 until the first commit.
  static result<std::unique_ptr<state_store>> create(slot_device& device,
                                                     const local_key& key,
                                                     tpm_version version,
                                                     const uuid& id);

  /// The same for a store that is counted from here on.
  static result<std::unique_ptr<state_store>> create(
    slot_device& device, const local_key& key, tpm_version version,
    const uuid& id, const counter_reading& counter);

  /// The same for an authority that keeps records: it has none of this vTPM
  /// until the first commit gives it one.
  static result<std::unique_ptr<state_store>> create(slot_device& device,
                                                     tpm_version version,
                                                     const uuid& id);

  ~state_store();

  /// Encrypts `state` under a fresh key into the inactive slot's image. May be
  /// called again, with the same or a newer state, when the write failed; a
  /// store that is counted then returns the image it has made, for no two may
  /// have the same number.
  /// @pre `gen` is above every acknowledged generation.
  result<slot_write> prepare(generation gen, const snapshot& state);

  /// The write of the last `prepare` is durable and the authority holds its
  /// record: the inactive slot becomes live.
  durable_receipt acknowledge();

  /// Returns the receipt for what the store held when it was opened or last
  /// acknowledged.
  durable_receipt latest() const noexcept;

  store_status status() const noexcept;

  /// Returns the key of this state's shadow, borrowed from the store.
  byte_view shadow_key() const noexcept;

  /// Makes a new one, which the next commit stores: whatever shadow there is
  /// anywhere is of no use to anyone after that.
  void renew_shadow_key();

private:
  struct impl;
  explicit state_store(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

struct state_store::opened {
  std::unique_ptr<state_store> store;
  snapshot_ptr state;
  /// One sentence per slot on what was found, for the log.
  std::string found;
  /// Of a store that is counted: the number of this state, and what is known
  /// of it.
  std::uint64_t number = 0;
  counter_verdict verdict;
};

} // namespace vtpm::tpm
