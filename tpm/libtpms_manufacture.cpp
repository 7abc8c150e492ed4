#include "tpm/libtpms_engine.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"
#include "tpm/libtpms_commands.hpp"
#include "tpm/libtpms_library.hpp"

namespace vtpm::tpm {

namespace {

// -- 1.2 ----------------------------------------------------------------------

/// TPM Main Part 2, 17.
constexpr std::uint32_t ord_physical_enable = 0x0000006F;
constexpr std::uint32_t ord_set_owner_install = 0x00000071;
constexpr std::uint32_t ord_physical_set_deactivated = 0x00000072;
constexpr std::uint32_t ord_create_endorsement_key_pair = 0x00000078;
constexpr std::uint32_t ord_nv_define_space = 0x000000CC;
constexpr std::uint32_t ord_physical_presence = 0x4000000A;

/// TPM_PHYSICAL_PRESENCE (TPM Main Part 2, 4.9).
constexpr std::uint16_t presence_cmd_disable = 0x0100;
constexpr std::uint16_t presence_lifetime_lock = 0x0080;
constexpr std::uint16_t presence_hw_enable = 0x0040;
constexpr std::uint16_t presence_cmd_enable = 0x0020;
constexpr std::uint16_t presence_notpresent = 0x0010;
constexpr std::uint16_t presence_present = 0x0008;

/// Runs a command whose response says nothing more.
result<unit> give(libtpms_library& library, const char* what,
                  command_builder command) {
  if (auto done = run(library, what, command); !done)
    return done.error();
  return unit{};
}

result<unit> set_presence(libtpms_library& library, std::uint16_t flags) {
  return give(
    library, "TSC_PhysicalPresence",
    command_builder{tag_rqu_command, ord_physical_presence}.put(flags));
}

/// An RSA-2048 key, as TPM Main Part 3, 14.1 asks for.
result<unit> create_endorsement_key(libtpms_library& library) {
  constexpr std::uint32_t alg_rsa = 0x00000001;
  constexpr std::uint16_t es_rsaes_oaep_sha1_mgf1 = 0x0003;
  constexpr std::uint16_t ss_none = 0x0001;
  auto command
    = command_builder{tag_rqu_command, ord_create_endorsement_key_pair};
  // antiReplay: nobody stands between us and the library.
  command.fill(20, 0);
  command.put(alg_rsa).put(es_rsaes_oaep_sha1_mgf1).put(ss_none);
  // TPM_RSA_KEY_PARMS: size, key bits, primes, size of a default exponent.
  command.put(12u).put(2048u).put(2u).put(0u);
  return give(library, "TPM_CreateEndorsementKeyPair", std::move(command));
}

/// From here on, NV authorization counts (TPM Main Part 3, 20.1).
result<unit> lock_nv(libtpms_library& library) {
  constexpr std::uint32_t nv_index_lock = 0xFFFFFFFF;
  auto command = command_builder{tag_rqu_command, ord_nv_define_space};
  command.put(std::uint16_t{0x0018}).put(nv_index_lock);
  for (auto pcr_info = 0; pcr_info < 2; ++pcr_info) {
    // TPM_PCR_INFO_SHORT: no PCR, every locality, no digest.
    command.put(std::uint16_t{3}).fill(3, 0).fill(1, 0x1F).fill(20, 0);
  }
  command.put(std::uint16_t{0x0017}).put(0u);
  // bReadSTClear, bWriteSTClear, bWriteDefine, dataSize and encAuth.
  command.fill(3, 0).put(0u).fill(20, 0);
  return give(library, "TPM_NV_DefineSpace", std::move(command));
}

/// With the lifetime lock, software can never claim presence again; the pin,
/// which vtpmd's operator controls, still can.
result<unit> settle_presence(libtpms_library& library, bool keep_software) {
  if (keep_software)
    return set_presence(library, presence_hw_enable | presence_cmd_enable);
  if (auto done = set_presence(library, presence_notpresent); !done)
    return done;
  if (auto done
      = set_presence(library, presence_hw_enable | presence_cmd_disable);
      !done)
    return done;
  return set_presence(library, presence_lifetime_lock);
}

result<unit> furnish_1_2(libtpms_library& library,
                         const manufacture_options& options) {
  if (auto done = start_up(library, startup::clear); !done)
    return done;
  if (auto done = set_presence(library, presence_cmd_enable); !done)
    return done;
  if (auto done = set_presence(library, presence_present); !done)
    return done;
  if (auto done = give(library, "TPM_PhysicalEnable",
                       {tag_rqu_command, ord_physical_enable});
      !done)
    return done;
  if (auto done = give(
        library, "TPM_PhysicalSetDeactivated",
        command_builder{tag_rqu_command, ord_physical_set_deactivated}.fill(1,
                                                                            0));
      !done)
    return done;
  if (auto done = give(
        library, "TPM_SetOwnerInstall",
        command_builder{tag_rqu_command, ord_set_owner_install}.fill(1, 1));
      !done)
    return done;
  if (auto done = create_endorsement_key(library); !done)
    return done;
  if (auto done = lock_nv(library); !done)
    return done;
  return settle_presence(library, options.physical_presence);
}

// -- 2.0 ----------------------------------------------------------------------

/// A hash algorithm that libtpms can keep a PCR bank of.
struct bank {
  std::string_view name;
  /// TPM_ALG_ID (2.0 Part 2, 6.3).
  std::uint16_t algorithm;
};

constexpr auto banks = std::array<bank, 4>{{
  {"sha1", 0x0004},
  {"sha256", 0x000B},
  {"sha384", 0x000C},
  {"sha512", 0x000D},
}};

/// 24 PCRs make a select of three octets (2.0 Part 2, 10.6.1).
constexpr std::uint8_t select_size = 3;

/// One octet of every bank's select: all of its PCRs or none.
using selects = std::array<std::uint8_t, banks.size()>;

result<selects> select_banks(const std::vector<std::string>& names) {
  auto chosen = selects{};
  for (const auto& name : names) {
    const auto found
      = std::find_if(banks.begin(), banks.end(),
                     [&](const bank& b) { return b.name == name; });
    if (found == banks.end())
      return error{errc::unusable,
                   "\"" + name
                     + "\" is not a PCR bank; there "
                       "are sha1, sha256, sha384 and sha512"};
    chosen[static_cast<std::size_t>(found - banks.begin())] = 0xFF;
  }
  if (names.empty())
    return error{errc::unusable, "a TPM needs at least one PCR bank"};
  return chosen;
}

/// The banks hold from the next TPM_Init and Startup(CLEAR) on.
result<unit> allocate_banks(libtpms_library& library, const selects& chosen) {
  constexpr std::uint32_t cc_pcr_allocate = 0x0000012B;
  constexpr std::uint32_t rh_platform = 0x4000000C;
  constexpr std::uint32_t rs_pw = 0x40000009;
  auto command = command_builder{tag_sessions, cc_pcr_allocate};
  command.put(rh_platform);
  // One password session: handle, empty nonce, no attributes, empty password.
  command.put(4u + 2u + 1u + 2u).put(rs_pw).fill(2 + 1 + 2, 0);
  command.put(static_cast<std::uint32_t>(banks.size()));
  for (auto i = std::size_t{0}; i < banks.size(); ++i)
    command.put(banks[i].algorithm)
      .put(select_size)
      .fill(select_size, chosen[i]);
  auto response = run(library, "TPM2_PCR_Allocate", command);
  if (!response)
    return response.error();
  // Header, parameter size, then allocationSuccess (2.0 Part 3, 22.5).
  constexpr auto success_offset = protocol::tpm_header::encoded_size + 4;
  if (response->size() <= success_offset || (*response)[success_offset] != 1)
    return error{errc::engine, "libtpms cannot allocate these PCR banks"};
  return unit{};
}

/// Asks the TPM which banks it has, and compares.
result<unit> verify_banks(libtpms_library& library, const selects& chosen) {
  constexpr std::uint32_t cc_get_capability = 0x0000017A;
  constexpr std::uint32_t cap_pcrs = 0x00000005;
  auto command = command_builder{tag_no_sessions, cc_get_capability};
  command.put(cap_pcrs).put(0u).put(1u);
  auto response = run(library, "TPM2_GetCapability", command);
  if (!response)
    return response.error();
  // Header, moreData, capability, then the list's count and its entries.
  constexpr auto count_offset = protocol::tpm_header::encoded_size + 1 + 4;
  constexpr auto entry_size = std::size_t{2 + 1 + select_size};
  auto actual = selects{};
  for (auto at = count_offset + 4; at + entry_size <= response->size();
       at += entry_size) {
    const auto* entry = response->data() + at;
    for (auto i = std::size_t{0}; i < banks.size(); ++i)
      if (banks[i].algorithm == protocol::load_be<std::uint16_t>(entry))
        actual[i] = entry[3];
  }
  if (actual != chosen)
    return error{errc::engine, "libtpms did not keep the PCR banks asked for"};
  return unit{};
}

result<unit> furnish_2_0(libtpms_library& library, const selects& chosen) {
  if (auto done = start_up(library, startup::clear); !done)
    return done;
  if (auto done = allocate_banks(library, chosen); !done)
    return done;
  if (!shut_down_clear(library))
    return error{errc::engine, "TPM2_Shutdown failed"};
  library.power_off();
  if (auto on = library.power_on(); !on)
    return on;
  if (auto done = start_up(library, startup::clear); !done)
    return done;
  if (auto done = verify_banks(library, chosen); !done)
    return done;
  if (!shut_down_clear(library))
    return error{errc::engine, "TPM2_Shutdown failed"};
  return unit{};
}

} // namespace

result<snapshot_ptr> manufacture_libtpms(tpm_version version,
                                         const manufacture_options& options) {
  auto chosen = select_banks(options.pcr_banks);
  if (version == tpm_version::v2_0 && !chosen)
    return chosen.error();
  auto library = libtpms_library::claim(version);
  if (!library)
    return library.error();
  if (auto on = (*library)->power_on(); !on)
    return on.error();
  auto done = version == tpm_version::v1_2 ? furnish_1_2(**library, options)
                                           : furnish_2_0(**library, *chosen);
  if (!done)
    return done.error();
  (*library)->power_off();
  return (*library)->current();
}

} // namespace vtpm::tpm
