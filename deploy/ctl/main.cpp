#include <cstdio>
#include <variant>

#include <nlohmann/json.hpp>

#include "deploy/command_line.hpp"
#include "deploy/ctl/ask.hpp"
#include "deploy/ctl/ctl_options.hpp"
#include "deploy/ctl/tables.hpp"
#include "deploy/vtpmd/hardening.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "deploy/vtpmd/start_problem.hpp"

namespace {

using namespace vtpm;
using namespace vtpm::deploy;

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "vtpmctl: %s\n", text.c_str());
  return code;
}

int run(const create_options& wanted) {
  harden_process();
  // It is over in about a second, and would leave half a TPM behind.
  block_signals();
  const auto id = create_state(wanted);
  if (!id)
    return complain(id.error().detail, exit_code::failure);
  std::printf("%s\n", tpm::to_string(*id).c_str());
  return exit_code::success;
}

int run(const inspect_command& wanted) {
  if (wanted.key_path)
    harden_process();
  const auto found = inspect(wanted);
  if (!found)
    return complain(found.error().detail, exit_code_for(found.error().code));
  const auto output = wanted.json
    ? to_json(wanted.state_path, *found).dump(2) + '\n'
    : to_text(wanted.state_path, *found);
  std::fputs(output.c_str(), stdout);
  return exit_code_of(*found);
}

/// Says what was carried over, one line each.
int report(const tpm::result<transferred>& done) {
  if (!done)
    return complain(done.error().detail, exit_code_for(done.error().code));
  std::printf("TPM %s, uuid %s, generation %llu\n", to_string(done->version),
              tpm::to_string(done->id).c_str(),
              static_cast<unsigned long long>(done->gen));
  if (!done->left_behind.empty())
    std::printf("left behind: %s\n", done->left_behind.c_str());
  return exit_code::success;
}

int run(const export_command& wanted) {
  harden_process();
  return report(run_export(wanted));
}

int run(const import_command& wanted) {
  harden_process();
  return report(run_import(wanted));
}

int run(const ask_command& question) {
  const auto text = ask(question);
  if (!text)
    return complain(text.error().text, text.error().code);
  const auto reply = parse_control_reply(*text);
  if (!reply)
    return complain(reply.error().text, exit_code::failure);
  const auto output = question.json ? reply->dump(2) + '\n'
                                    : to_tables(question.request, *reply);
  std::fputs(output.c_str(), stdout);
  return exit_code::success;
}

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_ctl_options(argc, argv);
  if (const auto* exit = std::get_if<early_exit>(&parsed))
    return leave(*exit);
  return std::visit([](const auto& command) { return run(command); },
                    std::get<ctl_command>(parsed));
}
