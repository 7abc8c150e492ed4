#include "deploy/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace vtpm::deploy {

namespace {

/// CLI11 joins repeated names only where they are adjacent, and drops the later
/// ones without a word where they are not.
class joining_config final : public CLI::ConfigTOML {
public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> joined;
    for (auto& item : CLI::ConfigTOML::from_config(input)) {
      const auto same = [&item](const CLI::ConfigItem& other) {
        return other.name == item.name && other.parents == item.parents;
      };
      const auto earlier = std::find_if(joined.begin(), joined.end(), same);
      if (earlier == joined.end())
        joined.push_back(std::move(item));
      else
        earlier->inputs.insert(earlier->inputs.end(), item.inputs.begin(),
                               item.inputs.end());
    }
    return joined;
  }
};

std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

} // namespace

void prepare(CLI::App& app) {
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", app.get_name() + " " VTPM_VERSION);
}

void add_config_option(CLI::App& app) {
  app
    .set_config("--config", "", "File of \"name = value\" lines, named as here")
    ->type_name("FILE");
  app.config_formatter(std::make_shared<joining_config>());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

std::optional<early_exit> parse(CLI::App& app, int argc,
                                const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& wanted) {
    std::ostringstream text;
    app.exit(wanted, text, text);
    return early_exit{exit_code::success, text.str(), {}};
  } catch (const CLI::Error& refused) {
    return usage_error(app, {refused.what()});
  }
}

early_exit usage_error(const CLI::App& app, const problem& why) {
  return {exit_code::usage,
          {},
          app.get_name() + ": " + one_line(why.text) + " (see " + app.get_name()
            + " --help)\n"};
}

int leave(const early_exit& exit) {
  std::fputs(exit.out.c_str(), stdout);
  std::fputs(exit.err.c_str(), stderr);
  return exit.code;
}

} // namespace vtpm::deploy
