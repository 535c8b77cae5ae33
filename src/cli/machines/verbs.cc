// The command lines of the verbs about machines that stay.
#include "cli/verbs.h"

#include "cli/command_options.h"
#include "cli/machines/commands.h"
#include "cli/report.h"

namespace husk::cli {
namespace {

using machines::Names;

constexpr const char* kGroup = "Machines";

// A verb that takes the names of some machines.
Verb add_for_names(Verb& husk, const std::string& name, const std::string& what,
                   std::function<int(const Names&)> act) {
  auto names = std::make_shared<Names>();
  Verb verb = husk.verb(name, what).group(kGroup);
  verb.required("NAME", *names, "Names, ids, or their beginnings");
  verb.run([names, act = std::move(act)] { return act(*names); });
  return verb;
}

void add_ps(Verb& husk) {
  auto options = std::make_shared<machines::PsOptions>();
  husk.verb("ps", "List machines")
      .group(kGroup)
      .flag("-a,--all", options->all, "Those that have ended, too")
      .flag("-q,--quiet", options->quiet, "Ids only")
      .flag("--no-trunc", options->no_trunc, "Whole ids and commands")
      .format(options->format)
      .run([options] { return machines::ps(*options); });
}

void add_logs(Verb& husk) {
  auto options = std::make_shared<machines::LogsOptions>();
  husk.verb("logs", "Print what a detached machine has written")
      .group(kGroup)
      .required("NAME", options->name, "Name, id, or its beginning")
      .flag("-f,--follow", options->follow, "Go on until the machine has ended")
      .flag("-t,--timestamps", options->timestamps, "Each line's time before it")
      .option("-n,--tail", options->tail, "So many lines from the end")
      .option("--since", options->since, "Since a time, or for so long: 10m")
      .run([options] { return machines::logs(*options); });
}

void add_exec(Verb& husk) {
  auto request = std::make_shared<machines::ExecRequest>();
  auto words = std::make_shared<std::vector<std::string>>();
  Verb verb = husk.verb("exec", "Run a further command in a machine: NAME COMMAND...");
  verb.group(kGroup).words(*words);
  add_command_flags(verb, request->command, request->detach);
  verb.run([words, request] {
    if (words->size() < 2) return report("exec: a machine and a command are required");
    if (words->front().starts_with("-")) return report("exec: unknown flag " + words->front());
    request->name = words->front();
    request->command.argv.assign(words->begin() + 1, words->end());
    return machines::exec(*request);
  });
}

void add_debug(Verb& husk) {
  auto request = std::make_shared<machines::DebugRequest>();
  husk.verb("debug", "Look at a machine's kernel with GDB")
      .group(kGroup)
      .required("NAME", request->name, "Name, id, or its beginning")
      .option("--port", request->port, "A port of 127.0.0.1, in place of a socket of the machine's")
      .option("--batch", request->batch, "Run GDB with the commands of this file")
      .option("--symbols", request->symbols, "The guest's vmlinux, for GDB")
      .run([request] { return machines::debug(*request); });
}

void add_stop(Verb& husk) {
  auto seconds = std::make_shared<uint64_t>(10);
  add_for_names(husk, "stop", "End machines by their image's signal, or after a time",
                [seconds](const Names& names) { return machines::stop(names, *seconds); })
      .option("-t,--time", *seconds, "Seconds until they are ended regardless");
}

void add_kill(Verb& husk) {
  auto signal = std::make_shared<std::string>("KILL");
  add_for_names(husk, "kill", "Send machines' commands a signal", [signal](const Names& names) {
    return machines::kill(names, *signal);
  }).option("-s,--signal", *signal, "By name or number; KILL ends the machine");
}

void add_rm(Verb& husk) {
  auto force = std::make_shared<bool>(false);
  add_for_names(husk, "rm", "Remove machines that have ended", [force](const Names& names) {
    return machines::rm(names, *force);
  }).flag("-f,--force", *force, "End those that run");
}

}  // namespace

void add_machines(Verb& husk) {
  add_ps(husk);
  add_logs(husk);
  add_exec(husk);
  add_debug(husk);
  add_for_names(husk, "inspect", "Describe machines as JSON", machines::inspect);
  add_for_names(husk, "wait", "Wait for machines to end, and print their exit codes",
                machines::wait);
  add_stop(husk);
  add_kill(husk);
  add_rm(husk);
  add_for_names(husk, "pause", "Stop the clocks of machines", machines::pause);
  add_for_names(husk, "unpause", "Let paused machines go on", machines::unpause);
}

}  // namespace husk::cli
