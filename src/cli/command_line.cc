#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

#include "base/log.h"
#include "base/phases.h"
#include "cli/report.h"

namespace husk::cli {
namespace {

// The help shows what an option is without being given.
template <class T>
void show_default(CLI::Option& option, const T&) {
  option.capture_default_str();
}
void show_default(CLI::Option& option, const std::string& value) {
  if (!value.empty()) option.capture_default_str();
}
void show_default(CLI::Option&, const std::optional<std::string>&) {}
void show_default(CLI::Option& option, const std::vector<std::string>&) {
  option.allow_extra_args(false);  // one value each time
}

std::vector<std::string> without_dashes(std::vector<std::string> words) {
  for (size_t i = 0; i < 2 && i < words.size(); ++i) {
    if (words[i] == "--") words.erase(words.begin() + static_cast<ptrdiff_t>(i));
  }
  return words;
}

}  // namespace

Verb Verb::verb(const std::string& name, const std::string& what) {
  app_->require_subcommand(1);
  return {*app_->add_subcommand(name, what), *chosen_};
}

Verb& Verb::group(const std::string& heading) {
  app_->group(heading);
  return *this;
}

Verb& Verb::flag(const std::string& names, bool& to, const std::string& what) {
  app_->add_flag(names, to, what);
  return *this;
}

template <class T>
Verb& Verb::option(const std::string& names, T& to, const std::string& what) {
  show_default(*app_->add_option(names, to, what), to);
  return *this;
}

template Verb& Verb::option(const std::string&, std::string&, const std::string&);
template Verb& Verb::option(const std::string&, std::optional<std::string>&, const std::string&);
template Verb& Verb::option(const std::string&, std::vector<std::string>&, const std::string&);
template Verb& Verb::option(const std::string&, uint32_t&, const std::string&);
template Verb& Verb::option(const std::string&, uint64_t&, const std::string&);

Verb& Verb::choice(const std::string& names, std::string& to, const std::vector<std::string>& among,
                   const std::string& what) {
  CLI::Option& option = *app_->add_option(names, to, what)->check(CLI::IsMember(among));
  show_default(option, to);
  return *this;
}

Verb& Verb::format(std::string& to) {
  return choice("--format", to, {"json", "table"}, "json or table");
}

Verb& Verb::required(const std::string& name, std::string& to, const std::string& what) {
  app_->add_option(name, to, what)->required();
  return *this;
}

Verb& Verb::required(const std::string& name, std::vector<std::string>& to,
                     const std::string& what) {
  app_->add_option(name, to, what)->required();
  return *this;
}

Verb& Verb::words(std::vector<std::string>& to) {
  app_->prefix_command();
  app_->parse_complete_callback([app = app_, &to] { to = without_dashes(app->remaining()); });
  return *this;
}

void Verb::run(Action action) {
  app_->final_callback([chosen = chosen_, action = std::move(action)] { *chosen = action; });
}

int run_command_line(int argc, char** argv, const std::function<void(Verb)>& describe) {
  base::begin_phases();
  CLI::App app("Runs OCI images and kernels as microVMs.", "husk");
  app.set_version_flag("--version", "husk 0.1.0");
  app.add_flag_callback(
      "--debug", [] { base::set_log_level(base::LogLevel::kDebug); },
      "Say more about what happens");
  Action chosen;
  describe({app, chosen});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report(error.what());
  }
  const int code = chosen();
  base::end_phase("end");
  return code;
}

}  // namespace husk::cli
