#include "deploy/ctl/inspect.hpp"

#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

#include "deploy/result.hpp"
#include "deploy/vtpmd/start_problem.hpp"
#include "tpm/block_file.hpp"

namespace vtpm::deploy {

namespace {

using nlohmann::json;

constexpr auto format_version = 1;

/// How often a state is read that a vtpmd goes on writing: a read that spans
/// two commits does not fit together.
constexpr auto tries_max = 20;
constexpr auto pause = std::chrono::milliseconds{10};

std::string to_hex(std::span<const std::uint8_t> octets) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const auto octet : octets) {
    text += digits[octet >> 4];
    text += digits[octet & 0x0F];
  }
  return text;
}

std::string verdict(const tpm::slot_report& slot) {
  if (slot.unreadable && !slot.image)
    return "damaged";
  return tpm::to_string(slot.condition);
}

json slot_json(unsigned number, const tpm::slot_report& slot) {
  json object{{"slot", number},
              {"verdict", verdict(slot)},
              {"readable", !slot.unreadable},
              {"live", slot.live}};
  if (!slot.image)
    return object;
  object["format"] = format_version;
  object["tpm"] = to_string(slot.image->version);
  object["uuid"] = tpm::to_string(slot.image->id);
  object["generation"] = slot.image->gen;
  object["parent"] = slot.image->parent;
  object["image_size"] = slot.image_size;
  object["sealed_size"] = slot.sealed_size;
  object["digest"] = to_hex(slot.digest);
  if (slot.opens)
    object["opens"] = *slot.opens;
  return object;
}

std::string slot_text(unsigned number, const tpm::slot_report& slot) {
  auto text = "slot " + std::to_string(number) + "        " + verdict(slot)
    + (slot.live ? ", live" : "")
    + (slot.unreadable ? ", not readable in full" : "") + '\n';
  const auto line = [&text](const char* name, const std::string& value) {
    auto start = std::string{"  "} + name;
    start.resize(14, ' ');
    text += start + value + '\n';
  };
  if (!slot.image)
    return text;
  line("format", std::to_string(format_version));
  line("TPM", to_string(slot.image->version));
  line("uuid", tpm::to_string(slot.image->id));
  line("generation", std::to_string(slot.image->gen));
  line("  follows", std::to_string(slot.image->parent));
  line("size (B)", std::to_string(slot.image_size));
  line("  sealed", std::to_string(slot.sealed_size));
  line("SHA-256", to_hex(slot.digest));
  if (slot.opens)
    line("key", *slot.opens ? "opens it" : "does not open it");
  return text;
}

/// Returns why no vtpmd starts from it now, or nothing.
std::string obstacle(const inspection& found) {
  if (found.report.refusal)
    return found.report.refusal->detail;
  return found.in_use ? "it is in use: a vtpmd is running on it" : "";
}

} // namespace

tpm::result<inspection> inspect(const inspect_command& wanted) {
  auto key = std::optional<tpm::local_key>{};
  if (wanted.key_path) {
    auto loaded = tpm::load_local_key(*wanted.key_path);
    if (!loaded)
      return loaded.error();
    key = *std::move(loaded);
  }
  for (auto tries = tries_max;; --tries) {
    const auto opened = tpm::block_file::inspect(wanted.state_path);
    if (!opened)
      return opened.error();
    auto report = tpm::inspect_state(*opened->file, key ? &*key : nullptr);
    if (!report)
      return report.error();
    if (!opened->in_use || !report->refusal || tries == 0)
      return inspection{*std::move(report), opened->in_use};
    std::this_thread::sleep_for(pause);
  }
}

int exit_code_of(const inspection& found) noexcept {
  if (found.report.refusal)
    return exit_code_for(found.report.refusal->code);
  return found.in_use ? daemon_exit::locked : exit_code::success;
}

json to_json(const std::string& path, const inspection& found) {
  json object{{"state", path},
              {"in_use", found.in_use},
              {"slots", json::array()},
              {"live", nullptr},
              {"starts", exit_code_of(found) == exit_code::success},
              {"exit_code", exit_code_of(found)}};
  for (unsigned i = 0; i < 2; ++i) {
    const auto& slot = found.report.slots[i];
    object["slots"].push_back(slot_json(i, slot));
    if (slot.live)
      object["live"] = i;
  }
  if (const auto why = obstacle(found); !why.empty())
    object["obstacle"] = why;
  return object;
}

std::string to_text(const std::string& path, const inspection& found) {
  auto text = "state         " + path + (found.in_use ? ", in use" : "") + '\n';
  for (unsigned i = 0; i < 2; ++i)
    text += slot_text(i, found.report.slots[i]);
  const auto why = obstacle(found);
  return text + "vtpmd         "
    + (why.empty() ? "starts from this" : "does not start from this: " + why)
    + '\n';
}

} // namespace vtpm::deploy
