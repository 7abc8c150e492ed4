#include "deploy/bench/load.hpp"
#include "deploy/bench/packet.hpp"
#include "deploy/bench/suites.hpp"
#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::deploy {

namespace {

using tpm20::key_kind;

/// A key in a TPM's memory, of which a 2.0 TPM has little: flushed at the end.
class loaded_key {
public:
  static result<loaded_key> make(const transactor& run, key_kind kind) {
    constexpr auto what = "TPM2_CreatePrimary";
    const auto response = run_or_fail(run, tpm20::create_primary(kind), what);
    if (!response)
      return response.error();
    const auto octets = part_of(*response, protocol::tpm_header::encoded_size,
                                sizeof(tpm20::handle), what);
    if (!octets)
      return octets.error();
    return loaded_key{run, protocol::load_be<tpm20::handle>(octets->data())};
  }

  loaded_key(loaded_key&& other) noexcept
    : run_(std::exchange(other.run_, nullptr)), value_(other.value_) {
    // nop
  }

  loaded_key& operator=(loaded_key&&) = delete;

  ~loaded_key() {
    if (run_ != nullptr)
      (void)(*run_)(tpm20::flush(value_));
  }

  tpm20::handle value() const noexcept {
    return value_;
  }

private:
  loaded_key(const transactor& run, tpm20::handle value) noexcept
    : run_(&run), value_(value) {
    // nop
  }

  const transactor* run_;
  tpm20::handle value_;
};

/// A command that uses a key.
struct key_case {
  const char* name;
  key_kind kind;
  byte_vector (*command)(tpm20::handle key);
};

result<measured> time_with_key(laboratory& lab, const label& what,
                               const key_case& one, const pace& how) {
  const auto ours = lab.ours(tpm_version::v2_0);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(tpm_version::v2_0);
  if (!peer)
    return peer.error();
  const auto our_key = loaded_key::make((*ours)->run(), one.kind);
  if (!our_key)
    return our_key.error();
  const auto peer_key = loaded_key::make((*peer)->run(), one.kind);
  if (!peer_key)
    return peer_key.error();
  const auto timed = [&](const server& host, const loaded_key& key) {
    return measurement{[&host, &one, &how, handle = key.value()] {
      return time_commands(host.run(), always(one.command(handle)), how);
    }};
  };
  return lab.hold(what,
                  {timed(**ours, *our_key), timed(**peer, *peer_key), {}});
}

/// Times TPM_CreateWrapKey; every command gets a session of its own, because it
/// closes it.
measurement timed_wrap_keys(const server& host, const pace& how) {
  return [&host, how] {
    const auto commands = [&host](byte_view) {
      const auto srk = tpm12::open_srk_session(host.run());
      // Without a session there is no command, which the TPM refuses.
      return srk ? tpm12::create_wrap_key(*srk) : byte_vector{};
    };
    return time_commands(host.run(), commands, how);
  };
}

} // namespace

suite_result run_crypto(laboratory& lab) {
  const auto cases = std::vector<key_case>{
    {"2.0 RSA-2048 sign", key_kind::rsa_signing, tpm20::sign},
    {"2.0 RSA-2048 quote", key_kind::rsa_signing, tpm20::quote},
    {"2.0 ECC P-256 sign", key_kind::ecc_signing, tpm20::sign},
    {"2.0 ECC P-256 quote", key_kind::ecc_signing, tpm20::quote},
  };
  const pace how{lab.amount(100, 5), 2};
  std::vector<measured> list;
  for (const auto& one : cases) {
    auto figures = time_with_key(lab, {"crypto", one.name, "us"}, one, how);
    if (!figures)
      return figures.error();
    list.push_back(std::move(*figures));
  }
  return list;
}

suite_result run_keygen(laboratory& lab) {
  const pace how{lab.amount(5, 1), 0};
  const auto create_rsa = [](tpm20::handle parent) {
    return tpm20::create(parent, key_kind::rsa_signing);
  };
  auto v2_0
    = time_with_key(lab, {"keygen", "2.0 create RSA-2048", "us"},
                    {"TPM2_Create", key_kind::ecc_storage, create_rsa}, how);
  if (!v2_0)
    return v2_0.error();
  const auto ours = lab.ours(tpm_version::v1_2);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(tpm_version::v1_2);
  if (!peer)
    return peer.error();
  auto v1_2 = lab.hold(
    {"keygen", "1.2 create wrap key RSA-2048", "us"},
    {timed_wrap_keys(**ours, how), timed_wrap_keys(**peer, how), {}});
  if (!v1_2)
    return v1_2.error();
  return std::vector<measured>{std::move(*v2_0), std::move(*v1_2)};
}

} // namespace vtpm::deploy
