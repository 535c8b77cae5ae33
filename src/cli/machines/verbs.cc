// The command lines of the verbs about machines that stay.
#include "cli/verbs.h"

#include "cli/command_options.h"
#include "cli/machines/commands.h"
#include "cli/report.h"

namespace husk::cli {
namespace {

using machines::Names;

constexpr const char* kGroup = "Machines";

// A verb that takes the names of some machines and no flag of its own.
CLI::App* add_for_names(CLI::App& app, Action& chosen, const std::string& name,
                        const std::string& what, std::function<int(const Names&)> act) {
  auto names = std::make_shared<Names>();
  auto* verb = app.add_subcommand(name, what)->group(kGroup);
  verb->add_option("NAME", *names, "Names, ids, or their beginnings")->required();
  verb->callback(
      [&chosen, names, act = std::move(act)] { chosen = [names, act] { return act(*names); }; });
  return verb;
}

void add_ps(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<machines::PsOptions>();
  auto* verb = app.add_subcommand("ps", "List machines")->group(kGroup);
  verb->add_flag("-a,--all", options->all, "Those that have ended, too");
  verb->add_flag("-q,--quiet", options->quiet, "Ids only");
  verb->add_flag("--no-trunc", options->no_trunc, "Whole ids and commands");
  verb->add_option("--format", options->format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&chosen, options] { chosen = [options] { return machines::ps(*options); }; });
}

void add_logs(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<machines::LogsOptions>();
  auto* verb = app.add_subcommand("logs", "Print what a detached machine has written");
  verb->group(kGroup);
  verb->add_option("NAME", options->name, "Name, id, or its beginning")->required();
  verb->add_flag("-f,--follow", options->follow, "Go on until the machine has ended");
  verb->add_flag("-t,--timestamps", options->timestamps, "Each line's time before it");
  verb->add_option("-n,--tail", options->tail, "So many lines from the end")->capture_default_str();
  verb->add_option("--since", options->since, "Since a time, or for so long: 10m");
  verb->callback([&chosen, options] { chosen = [options] { return machines::logs(*options); }; });
}

void add_exec(CLI::App& app, Action& chosen) {
  auto request = std::make_shared<machines::ExecRequest>();
  auto* verb = app.add_subcommand("exec", "Run a further command in a machine: NAME COMMAND...");
  verb->group(kGroup);
  add_command_flags(*verb, request->command, request->detach);
  verb->callback([&chosen, verb, request] {
    chosen = [words = words_of(*verb), request] {
      if (words.size() < 2) return report("exec: a machine and a command are required");
      if (words.front().starts_with("-")) return report("exec: unknown flag " + words.front());
      request->name = words.front();
      request->command.argv.assign(words.begin() + 1, words.end());
      return machines::exec(*request);
    };
  });
}

void add_debug(CLI::App& app, Action& chosen) {
  auto request = std::make_shared<machines::DebugRequest>();
  auto* verb = app.add_subcommand("debug", "Look at a machine's kernel with GDB")->group(kGroup);
  verb->add_option("NAME", request->name, "Name, id, or its beginning")->required();
  verb->add_option("--port", request->port, "A port of 127.0.0.1, not a socket of the machine's");
  verb->add_option("--batch", request->batch, "Run GDB with the commands of this file");
  verb->add_option("--symbols", request->symbols, "The guest's vmlinux, for GDB");
  verb->callback([&chosen, request] { chosen = [request] { return machines::debug(*request); }; });
}

void add_stop(CLI::App& app, Action& chosen) {
  auto seconds = std::make_shared<uint64_t>(10);
  add_for_names(app, chosen, "stop", "End machines by their image's signal, or after a time",
                [seconds](const Names& names) { return machines::stop(names, *seconds); })
      ->add_option("-t,--time", *seconds, "Seconds until they are ended regardless")
      ->capture_default_str();
}

void add_kill(CLI::App& app, Action& chosen) {
  auto signal = std::make_shared<std::string>("KILL");
  add_for_names(app, chosen, "kill", "Send machines' commands a signal",
                [signal](const Names& names) { return machines::kill(names, *signal); })
      ->add_option("-s,--signal", *signal, "By name or number; KILL ends the machine")
      ->capture_default_str();
}

void add_rm(CLI::App& app, Action& chosen) {
  auto force = std::make_shared<bool>(false);
  add_for_names(app, chosen, "rm", "Remove machines that have ended", [force](const Names& names) {
    return machines::rm(names, *force);
  })->add_flag("-f,--force", *force, "End those that run");
}

}  // namespace

void add_machines(CLI::App& app, Action& chosen) {
  add_ps(app, chosen);
  add_logs(app, chosen);
  add_exec(app, chosen);
  add_debug(app, chosen);
  add_for_names(app, chosen, "inspect", "Describe machines as JSON", machines::inspect);
  add_for_names(app, chosen, "wait", "Wait for machines to end, and print their exit codes",
                machines::wait);
  add_stop(app, chosen);
  add_kill(app, chosen);
  add_rm(app, chosen);
  add_for_names(app, chosen, "pause", "Stop the clocks of machines", machines::pause);
  add_for_names(app, chosen, "unpause", "Let paused machines go on", machines::unpause);
}

}  // namespace husk::cli
