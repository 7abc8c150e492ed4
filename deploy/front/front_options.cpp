#include "deploy/front/front_options.hpp"

#include <utility>

#include <CLI/CLI.hpp>

#include "deploy/command_line.hpp"
#include "deploy/parse_text.hpp"
#include "deploy/ring_identity.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::deploy {

namespace {

/// A day: no TPM command takes an hour.
constexpr auto limit_s_max = std::uint32_t{86'400};

/// The texts of options that CLI11 only stores.
struct option_texts {
  bool stdio = false;
  std::string listen;
  std::string exec;
  identity_options who;
  std::uint16_t locality = 0;
  std::uint32_t limit_s = 300;
};

/// Returns the value of a hexadecimal digit, or -1.
int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F')
    return digit - 'A' + 10;
  return -1;
}

void add_mode_options(CLI::App& app, option_texts& texts) {
  const auto* group = "How the TPM is offered (one of)";
  app
    .add_flag("--stdio", texts.stdio,
              "Raw commands on standard input, responses on standard output, "
              "as the cmd: TCTI of tpm2-tss wants it")
    ->group(group);
  app
    .add_option("--listen", texts.listen,
                "A raw command stream per connection, as TrouSerS' TCP device "
                "wants it; loopback addresses only")
    ->type_name("HOST:PORT|unix:PATH")
    ->group(group);
  app.add_option("--exec", texts.exec, "One command, in hexadecimal")
    ->type_name("HEX")
    ->group(group);
}

/// Returns the one mode that was asked for.
result<decltype(front_options::mode)> mode_of(const CLI::App& app,
                                              const option_texts& texts) {
  using mode = decltype(front_options::mode);
  const auto listen = app.count("--listen") > 0;
  const auto exec = app.count("--exec") > 0;
  if (int{texts.stdio} + int{listen} + int{exec} != 1)
    return problem{"give one of --stdio, --listen and --exec"};
  if (texts.stdio)
    return mode{stdio_mode{}};
  if (listen)
    return mode{listen_mode{texts.listen}};
  auto command = parse_hex_command(texts.exec);
  if (!command)
    return problem{"--exec: " + command.error().text};
  return mode{exec_mode{std::move(*command)}};
}

void add_other_options(CLI::App& app, front_options& target,
                       option_texts& texts) {
  const auto* route = "Where the TPM is (one of)";
  app.add_option("--connect", target.connect_path, "vtpmd's --listen socket")
    ->type_name("SOCKET")
    ->group(route);
  app
    .add_flag("--xen", target.xen,
              "A vTPM device of this Xen domain that no driver of the kernel "
              "has; --handle says which")
    ->group(route);
  app
    .add_option("--limit", texts.limit_s,
                "How long a command may take before it is cancelled")
    ->type_name("SECONDS")
    ->check(in_range(1, limit_s_max))
    ->capture_default_str();
  app.add_option("--log-level", target.log_level, "What is logged")
    ->type_name("error|warn|info|debug")
    ->capture_default_str();
  add_identity_options(app, texts.who);
  app
    .add_option("--locality", texts.locality,
                "Locality of every command; 0 to 4 mean something to a TPM")
    ->type_name("N")
    ->check(in_range(0, 255))
    ->capture_default_str()
    ->group("Which frontend");
}

result<unit> convert(const CLI::App& app, const option_texts& texts,
                     front_options& target) {
  if (target.xen == !target.connect_path.empty())
    return problem{"give either --connect SOCKET or --xen"};
  if (target.xen && (app.count("--domid") > 0 || app.count("--uuid") > 0))
    return problem{"--domid and --uuid go with --connect: who a Xen frontend "
                   "is, the toolstack says"};
  auto who = identity_of(texts.who);
  if (!who)
    return who.error();
  target.who = std::move(*who);
  target.locality = static_cast<std::uint8_t>(texts.locality);
  target.limit = std::chrono::seconds{texts.limit_s};
  const auto level = parse_log_level(target.log_level);
  if (!level)
    return problem{"--log-level: " + level.error().text};
  auto mode = mode_of(app, texts);
  if (!mode)
    return mode.error();
  target.mode = std::move(*mode);
  return unit{};
}

} // namespace

std::variant<front_options, early_exit> parse_front_options(
  int argc, const char* const* argv) {
  CLI::App app{"Connects to a ring of vtpmd and offers its TPM to stock tools.",
               "vtpm-front"};
  front_options target;
  option_texts texts;
  prepare(app);
  add_mode_options(app, texts);
  add_other_options(app, target, texts);
  app.footer("Examples:\n"
             "  vtpm-front --connect ./ring --listen 127.0.0.1:6545\n"
             "  TPM2TOOLS_TCTI=\"cmd:vtpm-front --connect ./ring --stdio\" "
             "tpm2_getrandom --hex 8\n"
             "  vtpm-front --connect ./ring --exec 80010000000c0000017b0010\n"
             "\n"
             "The manual page vtpm-front(1) says more.\n");
  if (auto exit = parse(app, argc, argv))
    return std::move(*exit);
  const auto done = convert(app, texts, target);
  if (!done)
    return usage_error(app, done.error());
  return target;
}

result<byte_vector> parse_hex_command(std::string_view text) {
  byte_vector octets;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ' || text[i] == ':') {
      ++i;
      continue;
    }
    const auto high = hex_value(text[i]);
    const auto low = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
    if (high < 0 || low < 0)
      return problem{"not pairs of hexadecimal digits"};
    octets.push_back(static_cast<std::uint8_t>(high << 4 | low));
    i += 2;
  }
  if (octets.size() < protocol::tpm_header::encoded_size
      || octets.size() > protocol::packet_size_max)
    return problem{"a TPM command has from 10 to 4088 octets, not "
                   + std::to_string(octets.size())};
  return octets;
}

std::string to_hex(byte_view octets) {
  constexpr auto digits = std::string_view{"0123456789abcdef"};
  std::string text;
  for (const auto octet : octets) {
    text += digits[octet >> 4];
    text += digits[octet & 0xF];
  }
  return text;
}

} // namespace vtpm::deploy
