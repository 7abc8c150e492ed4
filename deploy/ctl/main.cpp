#include <cstdio>
#include <variant>

#include <nlohmann/json.hpp>

#include "deploy/command_line.hpp"
#include "deploy/ctl/ask.hpp"
#include "deploy/ctl/ctl_options.hpp"
#include "deploy/ctl/tables.hpp"
#include "deploy/vtpmd/hardening.hpp"
#include "deploy/vtpmd/signals.hpp"

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
