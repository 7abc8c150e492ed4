#include "tpm/libtpms_commands.hpp"

#include <utility>

#include "protocol/tpm_header.hpp"
#include "tpm/crypto/random.hpp"

namespace vtpm::tpm {

namespace {

/// TPM_ORD_Startup (TPM Main Part 2, 17) and its TPM_STARTUP_TYPE (4.5).
constexpr std::uint32_t ord_startup = 0x00000099;
constexpr std::uint16_t st_clear = 0x0001;
constexpr std::uint16_t st_state = 0x0002;
constexpr std::uint16_t st_deactivated = 0x0003;

/// TPM2_Startup (2.0 Part 2, 6.5.2) and its TPM_SU (6.10).
constexpr std::uint32_t cc_startup = 0x00000144;
constexpr std::uint16_t su_clear = 0x0000;
constexpr std::uint16_t su_state = 0x0001;

/// TPM2_StirRandom, and how much it is given: more than the seed of the
/// generator, of the 128 octets (MAX_SYM_DATA) that it takes.
constexpr std::uint32_t cc_stir_random = 0x00000146;
constexpr std::uint16_t stir_size = 64;

std::uint32_t code_of(byte_view response) noexcept {
  return protocol::load_be<std::uint32_t>(response.data() + 6);
}

result<unit> give_startup(libtpms_library& library, std::uint16_t type) {
  const auto old = library.version() == tpm_version::v1_2;
  auto command = old ? command_builder{tag_rqu_command, ord_startup}
                     : command_builder{tag_no_sessions, cc_startup};
  if (auto done = run(library, "Startup", command.put(type)); !done)
    return done.error();
  return unit{};
}

/// A 1.2 TPM that cannot use its saved state goes into failure mode, which
/// only TPM_Init ends.
result<unit> resume_1_2(libtpms_library& library) {
  if (library.current()->savestate.empty())
    return give_startup(library, st_clear);
  if (give_startup(library, st_state))
    return unit{};
  library.power_off();
  if (auto on = library.power_on(); !on)
    return on.error();
  return give_startup(library, st_clear);
}

result<unit> resume_2_0(libtpms_library& library) {
  if (give_startup(library, su_state))
    return unit{};
  return give_startup(library, su_clear);
}

} // namespace

command_builder::command_builder(std::uint16_t tag, std::uint32_t code) {
  put(tag).put(std::uint32_t{0}).put(code);
}

command_builder& command_builder::fill(std::size_t count, std::uint8_t octet) {
  octets_.insert(octets_.end(), count, octet);
  return *this;
}

const byte_vector& command_builder::finish() {
  protocol::store_be(octets_.data() + 2,
                     static_cast<std::uint32_t>(octets_.size()));
  return octets_;
}

bool succeeded(byte_view response) noexcept {
  return !response.empty() && code_of(response) == protocol::tpm_success;
}

result<byte_view> run(libtpms_library& library, const char* what,
                      command_builder& command) {
  const auto response = library.process(0, command.finish());
  if (succeeded(response))
    return response;
  auto detail = std::string{what} + " failed";
  if (!response.empty())
    detail += " with result " + std::to_string(code_of(response));
  return error{errc::engine, std::move(detail)};
}

bool shut_down_clear(libtpms_library& library) {
  auto command = command_builder{tag_no_sessions, cc_shutdown};
  return succeeded(library.process(0, command.put(su_clear).finish()));
}

void stir_random(libtpms_library& library) {
  auto entropy = secret_bytes(stir_size);
  fill_random(entropy);
  auto command = command_builder{tag_no_sessions, cc_stir_random};
  command.put(stir_size);
  for (const auto octet : entropy)
    command.put(octet);
  library.process(0, command.finish());
}

result<unit> check_startup(tpm_version version, startup how) {
  if (version == tpm_version::v2_0 && how == startup::deactivated)
    return error{errc::unusable, "only a TPM 1.2 can start deactivated"};
  return unit{};
}

result<unit> start_up(libtpms_library& library, startup how) {
  const auto old = library.version() == tpm_version::v1_2;
  switch (how) {
    case startup::none:
      break;
    case startup::clear:
      return give_startup(library, old ? st_clear : su_clear);
    case startup::state:
      return old ? resume_1_2(library) : resume_2_0(library);
    case startup::deactivated:
      return give_startup(library, st_deactivated);
  }
  return unit{};
}

} // namespace vtpm::tpm
