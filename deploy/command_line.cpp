#include "deploy/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>

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

/// Where descriptions start, and where lines end.
constexpr auto description_column = std::size_t{30};
constexpr auto line_width = std::size_t{80};

/// Help texts that fit a terminal: CLI11's own neither wraps nor tells the
/// default apart from the type.
class narrow_formatter final : public CLI::Formatter {
public:
  std::string make_option(const CLI::Option* option,
                          bool is_positional) const override {
    auto left = "  " + option->get_name(is_positional, true);
    if (!option->get_type_name().empty())
      left += " " + option->get_type_name();
    auto right = option->get_description();
    if (option->get_required())
      right += " (required)";
    if (!option->get_default_str().empty())
      right += " [" + option->get_default_str() + "]";
    return two_columns(left, right);
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return two_columns("  " + command->get_name(), command->get_description());
  }

private:
  static std::string two_columns(std::string left, const std::string& right) {
    if (left.size() + 2 > description_column)
      left += '\n' + std::string(description_column, ' ');
    else
      left.resize(description_column, ' ');
    std::istringstream words{right};
    auto column = description_column;
    for (std::string word; words >> word;) {
      if (column > description_column
          && column + 1 + word.size() > line_width) {
        left += '\n' + std::string(description_column, ' ');
        column = description_column;
      }
      if (column > description_column) {
        left += ' ';
        ++column;
      }
      left += word;
      column += word.size();
    }
    return left + '\n';
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
  app.formatter(std::make_shared<narrow_formatter>());
  app.set_help_flag("-h,--help", "Print this text");
  app.set_version_flag("--version", app.get_name() + " " VTPM_VERSION,
                       "Print the version");
}

void add_config_option(CLI::App& app) {
  app
    .set_config("--config", "", "File of \"name = value\" lines, named as here")
    ->type_name("FILE");
  app.config_formatter(std::make_shared<joining_config>());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

CLI::Validator in_range(std::uint32_t first, std::uint32_t last) {
  // Without a description help texts stay free of it.
  return CLI::Range(first, last).description("");
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
            + " --help)"};
}

int leave(const early_exit& exit) {
  std::fputs(exit.out.c_str(), stdout);
  if (!exit.err.empty())
    std::fprintf(stderr, "%s\n", exit.err.c_str());
  return exit.code;
}

} // namespace vtpm::deploy
