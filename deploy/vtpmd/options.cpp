#include "deploy/vtpmd/options.hpp"

#include <cstdint>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include "deploy/command_line.hpp"
#include "deploy/parse_text.hpp"
#include "deploy/vtpmd/claim_rule.hpp"

namespace vtpm::deploy {

namespace {

/// Polling costs a core while it lasts; more than this is a mistyped unit.
constexpr auto poll_us_max = std::uint32_t{10'000};

/// A day: guests have given up long before.
constexpr auto commit_retry_limit_s_max = std::uint32_t{86'400};

/// More than any guest asks for at a time; each one takes 3 KiB, and a sixth of
/// a second to make.
constexpr auto key_pool_max = std::uint32_t{64};

/// A week: longer is never.
constexpr auto unused_s_max = std::uint32_t{604'800};

/// The texts of options that CLI11 only stores and `convert` reads.
struct option_texts {
  std::string version;
  std::string uuid;
  std::string pcr_banks = "sha1,sha256";
  std::vector<std::string> localities;
  std::vector<std::string> claims;
  std::string primary;
  std::string startup;
  std::string committer = "auto";
};

void add_state_options(CLI::App& app, options& target, option_texts& texts) {
  const auto* group = "State";
  app.add_option("--state", target.state_path, "State file or block device")
    ->type_name("PATH")
    ->required()
    ->group(group);
  app.add_option("--key", target.key_path, "Key file [STATE.key]")
    ->type_name("PATH")
    ->group(group);
  app
    .add_option("--tpm", texts.version,
                "With --create: the TPM to make; else: refuse any other")
    ->type_name("1.2|2.0")
    ->group(group);
  app
    .add_flag("--create", target.create,
              "Make a new TPM first; refuses to touch an existing state")
    ->configurable(false)
    ->group(group);
  app
    .add_option("--uuid", texts.uuid,
                "With --create: the new TPM's UUID [random]")
    ->type_name("UUID")
    ->group(group);
  app
    .add_option("--pcr-banks", texts.pcr_banks,
                "With --create, 2.0: PCR banks to allocate")
    ->type_name("BANK,...")
    ->capture_default_str()
    ->group(group);
  app
    .add_flag("--accept-older", target.accept_older,
              "Open the older slot when the newer one is damaged: the TPM may "
              "lose its last acknowledged changes")
    ->configurable(false)
    ->group(group);
}

void add_tpm_options(CLI::App& app, options& target, option_texts& texts) {
  const auto* group = "TPM";
  app
    .add_option("--startup", texts.startup,
                "Startup that vtpmd sends after TPM_Init [1.2: none, 2.0: "
                "clear]")
    ->type_name("clear|state|deactivated|none")
    ->group(group);
  app
    .add_flag("--physical-presence", target.physical_presence,
              "1.2: assert physical presence")
    ->group(group);
  app
    .add_option("--key-pool", target.key_pool,
                "RSA keys to keep ready, made while the machine is idle; 0 "
                "turns it off")
    ->type_name("N")
    ->check(in_range(0, key_pool_max))
    ->capture_default_str()
    ->group(group);
  app
    .add_option("--shadow", target.shadow,
                "Keep in memory what a crash of vtpmd would lose: PCRs, "
                "sessions, loaded keys")
    ->type_name("on|off|PATH")
    ->capture_default_str()
    ->group(group);
  app.add_option("--committer", texts.committer, "How commits are written")
    ->type_name("auto|uring|thread")
    ->capture_default_str()
    ->group(group);
}

void add_frontend_options(CLI::App& app, options& target, option_texts& texts) {
  const auto* group = "Frontends";
  app
    .add_flag("--xen", target.xen,
              "Serve the frontends of this Xen domain: backend/vtpm in "
              "XenStore")
    ->group(group);
  app
    .add_option("--listen", target.listen_path,
                "Instead of --xen: Unix socket where loopback frontends "
                "connect")
    ->type_name("SOCKET")
    ->group(group);
  app
    .add_option("--claim", texts.claims,
                "Who may be which frontend, e.g. "
                "uid=1000,domid=3,handle=*,uuid=*; repeatable [own uid: any]")
    ->type_name("RULE")
    ->allow_extra_args(false)
    ->group(group);
  app
    .add_option("--locality", texts.localities,
                "Localities of a frontend, e.g. domid=3,handle=0,uuid=*:0,2; "
                "repeatable [0 only]; 8 is the administrator's")
    ->type_name("RULE")
    ->allow_extra_args(false)
    ->group(group);
}

void add_platform_options(CLI::App& app, option_texts& texts,
                          std::uint32_t& unused_s) {
  app
    .add_option("--primary", texts.primary,
                "Whose boots reset the TPM, e.g. uuid=UUID or handle=0, then "
                "perhaps ,on-new-domid=keep [the only uuid there ever was]")
    ->type_name("RULE")
    ->group("Frontends");
  app
    .add_option("--exit-when-unused", unused_s,
                "Drain and exit when the last frontend has been gone so long")
    ->type_name("SECONDS")
    ->check(in_range(1, unused_s_max))
    ->group("Running");
}

void add_running_options(CLI::App& app, options& target, std::uint32_t& poll_us,
                         std::uint32_t& retry_s) {
  const auto* group = "Running";
  app.add_option("--control", target.control_path, "Unix socket for vtpmctl")
    ->type_name("SOCKET")
    ->capture_default_str()
    ->group(group);
  app
    .add_option("--poll-us", poll_us,
                "Microseconds to poll rings after a command; 0 turns it off")
    ->type_name("N")
    ->check(in_range(0, poll_us_max))
    ->capture_default_str()
    ->group(group);
  app
    .add_option("--commit-retry-limit", retry_s,
                "How long a failing commit is repeated before the TPM stops")
    ->type_name("SECONDS")
    ->check(in_range(0, commit_retry_limit_s_max))
    ->capture_default_str()
    ->group(group);
  app.add_option("--log-level", target.log_level, "What is logged")
    ->type_name("error|warn|info|debug")
    ->capture_default_str()
    ->group(group);
}

result<std::optional<tpm::startup>> parse_startup(const std::string& text) {
  using choice = std::optional<tpm::startup>;
  if (text.empty())
    return choice{};
  if (text == "none")
    return choice{tpm::startup::none};
  if (text == "clear")
    return choice{tpm::startup::clear};
  if (text == "state")
    return choice{tpm::startup::state};
  if (text == "deactivated")
    return choice{tpm::startup::deactivated};
  return problem{"\"" + text
                 + "\" is no startup: give clear, state, deactivated or none"};
}

result<tpm::committer_kind> parse_committer(const std::string& text) {
  if (text == "auto")
    return tpm::committer_kind::automatic;
  if (text == "uring")
    return tpm::committer_kind::uring;
  if (text == "thread")
    return tpm::committer_kind::thread;
  return problem{"\"" + text
                 + "\" is no committer: give auto, uring or thread"};
}

/// Fills in what concerns the TPM itself.
result<unit> convert_tpm(const option_texts& texts, bool banks_given,
                         options& target) {
  if (!texts.version.empty()) {
    const auto version = parse_tpm_version(texts.version);
    if (!version)
      return problem{"--tpm: " + version.error().text};
    target.version = *version;
  }
  if (target.create && !target.version)
    return problem{"--create: say which TPM to make, with --tpm 1.2 or "
                   "--tpm 2.0"};
  if (!target.create && (!texts.uuid.empty() || banks_given))
    return problem{"--uuid and --pcr-banks are for --create only: an existing "
                   "TPM keeps its own"};
  if (!texts.uuid.empty()) {
    target.id = tpm::parse_uuid(texts.uuid);
    if (!target.id)
      return problem{"--uuid: \"" + texts.uuid
                     + "\" is no UUID of 36 characters"};
  }
  auto banks = parse_pcr_banks(texts.pcr_banks);
  if (!banks)
    return problem{"--pcr-banks: " + banks.error().text};
  if (banks_given && target.version == tpm_version::v1_2)
    return problem{"--pcr-banks is for TPM 2.0 only: a TPM 1.2 has SHA-1 PCRs"};
  target.pcr_banks = std::move(*banks);
  if (target.physical_presence && target.version == tpm_version::v2_0)
    return problem{"--physical-presence is for TPM 1.2 only"};
  auto startup = parse_startup(texts.startup);
  if (!startup)
    return problem{"--startup: " + startup.error().text};
  target.startup = *startup;
  if (target.version) {
    const auto checked = startup_for(target, *target.version);
    if (!checked)
      return checked.error();
  }
  return unit{};
}

/// Checks where frontends come from. Both at once would give one domid to two
/// domains.
result<unit> check_frontends(const option_texts& texts, const options& target) {
  if (target.xen == !target.listen_path.empty())
    return problem{target.xen
                     ? "give either --xen or --listen: one vtpmd serves the "
                       "frontends of a hypervisor or of a socket"
                     : "say where frontends come from: --xen, or --listen "
                       "SOCKET"};
  if (target.xen && !texts.claims.empty())
    return problem{"--claim goes with --listen: whose a Xen frontend is, the "
                   "toolstack says"};
  return unit{};
}

/// Fills in everything else.
result<unit> convert(const option_texts& texts, options& target) {
  if (target.key_path.empty())
    target.key_path = target.state_path + ".key";
  if (auto checked = check_frontends(texts, target); !checked)
    return checked;
  for (const auto& text : texts.localities) {
    std::string why;
    auto rule = actors::locality_rule::parse(text, why);
    if (!rule)
      return problem{"--locality: " + why + " (quote rules in a config file)"};
    target.localities.push_back(std::move(*rule));
  }
  for (const auto& text : texts.claims) {
    auto rule = parse_claim_rule(text);
    if (!rule)
      return problem{"--claim: " + rule.error().text
                     + " (quote rules in a config file)"};
    target.claims.push_back(std::move(*rule));
  }
  if (!texts.primary.empty()) {
    std::string why;
    target.primary = actors::primary_rule::parse(texts.primary, why);
    if (!target.primary)
      return problem{"--primary: " + why + " (quote rules in a config file)"};
  }
  const auto committer = parse_committer(texts.committer);
  if (!committer)
    return problem{"--committer: " + committer.error().text};
  target.committer = *committer;
  if (target.shadow != shadow_on && target.shadow != shadow_off
      && !target.shadow.starts_with('/'))
    return problem{"--shadow: \"" + target.shadow
                   + "\" is neither on nor off nor an absolute path"};
  const auto level = parse_log_level(target.log_level);
  if (!level)
    return problem{"--log-level: " + level.error().text};
  return unit{};
}

} // namespace

std::variant<options, early_exit> parse_options(int argc,
                                                const char* const* argv) {
  CLI::App app{"Serves one virtual TPM, 1.2 or 2.0, to many guests at once.",
               "vtpmd"};
  options target;
  option_texts texts;
  auto poll_us = std::uint32_t{0};
  auto retry_s = static_cast<std::uint32_t>(target.commit_retry_limit.count());
  prepare(app);
  add_config_option(app);
  add_state_options(app, target, texts);
  add_tpm_options(app, target, texts);
  add_frontend_options(app, target, texts);
  auto unused_s = std::uint32_t{0};
  add_platform_options(app, texts, unused_s);
  add_running_options(app, target, poll_us, retry_s);
  app.footer("Example, a new TPM 2.0 for loopback frontends of this user:\n"
             "  vtpmd --create --tpm 2.0 --state ./tpm --listen ./ring "
             "--control ./control\n"
             "  vtpm-front --connect ./ring --exec 80010000000c0000017b0010\n"
             "\n"
             "The manual page vtpmd(8) says more.\n");
  if (auto exit = parse(app, argc, argv))
    return std::move(*exit);
  target.poll = std::chrono::microseconds{poll_us};
  target.commit_retry_limit = std::chrono::seconds{retry_s};
  if (unused_s != 0)
    target.exit_when_unused = std::chrono::seconds{unused_s};
  const auto banks_given = app.count("--pcr-banks") > 0;
  auto done = convert_tpm(texts, banks_given, target);
  if (done)
    done = convert(texts, target);
  if (!done)
    return usage_error(app, done.error());
  return target;
}

result<tpm::startup> startup_for(const options& given, tpm_version version) {
  const auto is_1_2 = version == tpm_version::v1_2;
  if (!given.startup)
    return is_1_2 ? tpm::startup::none : tpm::startup::clear;
  if (*given.startup == tpm::startup::deactivated && !is_1_2)
    return problem{"--startup deactivated is for TPM 1.2 only"};
  return *given.startup;
}

} // namespace vtpm::deploy
