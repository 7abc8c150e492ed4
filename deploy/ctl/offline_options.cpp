#include "deploy/ctl/offline_options.hpp"

#include "deploy/command_line.hpp"
#include "deploy/parse_text.hpp"
#include "deploy/vtpmd/options.hpp"

namespace vtpm::deploy {

/// The texts of options that CLI11 only stores.
struct offline_subcommands::texts {
  std::string state;
  std::string key;
  bool json = false;
  bool with_volatile = false;
  std::string control = default_control_path;
  std::string shadow;
  std::string to;
  std::string from;
  std::string from_swtpm;
  std::string version;
  std::string id;
  std::string passphrase_file;
  int passphrase_descriptor = -1;
  std::string key_file;
};

namespace {

/// Descriptors that a shell can hand over.
constexpr auto descriptor_max = 1023u;

/// What asks for a uuid that no other TPM has.
constexpr auto new_uuid = "new";

std::string key_path_for(const std::string& state, const std::string& key) {
  return key.empty() ? state + ".key" : key;
}

} // namespace

offline_subcommands::offline_subcommands(CLI::App& app)
  : texts_(std::make_unique<texts>()) {
  add_inspect(app);
  add_export(app);
  add_import(app);
}

offline_subcommands::~offline_subcommands() = default;

void offline_subcommands::add_inspect(CLI::App& app) {
  inspect_ = app.add_subcommand(
    "inspect", "Look at a state, whether or not a vtpmd has it open");
  inspect_->add_option("state", texts_->state, "A file or block device")
    ->type_name("STATE")
    ->required();
  inspect_
    ->add_option("--key", texts_->key, "Say whether this key file opens it")
    ->type_name("PATH");
  inspect_->add_flag("--json", texts_->json, "Print the report as JSON");
}

void offline_subcommands::add_secret_options(CLI::App& command) {
  const auto* group = "What locks the export; default: a passphrase, asked for";
  command
    .add_option("--passphrase-file", texts_->passphrase_file,
                "The first line of a file that nobody else may read")
    ->type_name("PATH")
    ->group(group);
  command
    .add_option("--passphrase-fd", texts_->passphrase_descriptor,
                "The next line of an open descriptor")
    ->type_name("N")
    ->check(in_range(0, descriptor_max))
    ->group(group);
  command
    .add_option("--key-file", texts_->key_file,
                "32 random octets in a file that nobody else may read")
    ->type_name("PATH")
    ->group(group);
}

void offline_subcommands::add_shadow_options(CLI::App& command) {
  const auto* group = "Volatile state: how its vtpmd is started";
  command.add_option("--control", texts_->control, "Its --control socket")
    ->type_name("PATH")
    ->capture_default_str()
    ->group(group);
  command.add_option("--shadow", texts_->shadow, "Its --shadow, if a path")
    ->type_name("PATH")
    ->group(group);
}

void offline_subcommands::add_export(CLI::App& app) {
  export_ = app.add_subcommand("export", "Write a TPM into an encrypted file");
  export_->add_option("--state", texts_->state, "A state, in use or not")
    ->type_name("PATH")
    ->required();
  export_->add_option("--key", texts_->key, "Its key file [STATE.key]")
    ->type_name("PATH");
  export_->add_option("--to", texts_->to, "A new file")
    ->type_name("PATH")
    ->required();
  export_->add_flag("--volatile", texts_->with_volatile,
                    "Also what a reset would lose: PCRs, sessions, loaded "
                    "keys");
  add_shadow_options(*export_);
  add_secret_options(*export_);
}

void offline_subcommands::add_import(CLI::App& app) {
  import_ = app.add_subcommand("import",
                               "Make a TPM of an export or a swtpm's state");
  import_->add_option("--from", texts_->from, "What vtpmctl export wrote")
    ->type_name("PATH");
  import_
    ->add_option("--from-swtpm", texts_->from_swtpm,
                 "A state directory of swtpm, not encrypted")
    ->type_name("DIRECTORY");
  import_
    ->add_option("--tpm", texts_->version,
                 "With --from-swtpm: which TPM, if there are two")
    ->type_name("1.2|2.0");
  import_
    ->add_option("--state", texts_->state,
                 "A new file, or an empty block "
                 "device")
    ->type_name("PATH")
    ->required();
  import_->add_option("--key", texts_->key, "A new key file [STATE.key]")
    ->type_name("PATH");
  import_
    ->add_option("--uuid", texts_->id,
                 "The TPM's UUID [the exported one; random for swtpm's]")
    ->type_name("UUID|new");
  add_shadow_options(*import_);
  add_secret_options(*import_);
}

std::optional<result<offline_command>> offline_subcommands::given() const {
  if (inspect_->parsed())
    return inspect_given();
  if (export_->parsed())
    return export_given();
  if (import_->parsed())
    return import_given();
  return std::nullopt;
}

result<secret_source> offline_subcommands::secret_of(const CLI::App& command,
                                                     bool twice) const {
  auto source = secret_source{passphrase_prompt{twice}};
  auto count = 0;
  if (command.count("--passphrase-file") > 0) {
    source = passphrase_file{texts_->passphrase_file};
    ++count;
  }
  if (command.count("--passphrase-fd") > 0) {
    source = passphrase_descriptor{texts_->passphrase_descriptor};
    ++count;
  }
  if (command.count("--key-file") > 0) {
    source = export_key_file{texts_->key_file};
    ++count;
  }
  if (count > 1)
    return problem{
      "give one of --passphrase-file, --passphrase-fd and --key-file"};
  return source;
}

result<offline_command> offline_subcommands::inspect_given() const {
  auto wanted = inspect_command{texts_->state, std::nullopt, texts_->json};
  if (!texts_->key.empty())
    wanted.key_path = texts_->key;
  return offline_command{std::move(wanted)};
}

result<offline_command> offline_subcommands::export_given() const {
  auto secret = secret_of(*export_, /*twice=*/true);
  if (!secret)
    return secret.error();
  return offline_command{
    export_command{{texts_->state, key_path_for(texts_->state, texts_->key)},
                   texts_->with_volatile,
                   {texts_->control, texts_->shadow},
                   texts_->to,
                   *std::move(secret)}};
}

result<offline_command> offline_subcommands::import_given() const {
  auto wanted = import_command{};
  wanted.to = {texts_->state, key_path_for(texts_->state, texts_->key)};
  wanted.shadow = {texts_->control, texts_->shadow};
  if (texts_->id == new_uuid)
    wanted.id = tpm::make_uuid();
  else if (!texts_->id.empty()) {
    wanted.id = tpm::parse_uuid(texts_->id);
    if (!wanted.id)
      return problem{"--uuid: \"" + texts_->id
                     + "\" is neither a UUID of 36 characters nor \"new\""};
  }
  if (texts_->from.empty() == texts_->from_swtpm.empty())
    return problem{"give either --from or --from-swtpm"};
  auto secret = secret_of(*import_, /*twice=*/false);
  if (!secret)
    return secret.error();
  if (!texts_->from.empty()) {
    if (import_->count("--tpm") > 0)
      return problem{"--tpm goes with --from-swtpm"};
    wanted.from = export_origin{texts_->from, *std::move(secret)};
    return offline_command{std::move(wanted)};
  }
  if (!std::holds_alternative<passphrase_prompt>(*secret))
    return problem{"a state of swtpm has neither passphrase nor key file: only "
                   "unencrypted ones are read"};
  auto origin = swtpm_origin{texts_->from_swtpm, std::nullopt};
  if (!texts_->version.empty()) {
    const auto version = parse_tpm_version(texts_->version);
    if (!version)
      return problem{"--tpm: " + version.error().text};
    origin.version = *version;
  }
  wanted.from = std::move(origin);
  return offline_command{std::move(wanted)};
}

} // namespace vtpm::deploy
