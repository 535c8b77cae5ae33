// cpu_diff: the same random user-mode instructions on the host's processor and in Husk's
// interpreter, and every difference reported. Exit status: 0 no difference, 1 differences, 2 it
// could not run.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>

#include "cpu_diff/interp_engine.h"
#include "cpu_diff/native_engine.h"
#include "cpu_diff/report.h"
#include "cpu_diff/session.h"

namespace {

using namespace husk::cpu_diff;

struct Arguments {
  SessionOptions session;
  std::string subject = "interp";
  std::string only;
  std::string one;  // SEED:INDEX
};

bool parse(int argc, char** argv, Arguments& arguments, int& status) {
  CLI::App app(
      "Compares the host's processor with Husk's interpreter, instruction by instruction.");
  app.add_option("--seed", arguments.session.generator.seed, "seed of the cases");
  app.add_option("--first", arguments.session.first, "index of the first case");
  app.add_option("--cases", arguments.session.count, "number of cases");
  app.add_option("--instructions", arguments.session.instructions,
                 "in place of --cases: until so many were executed")
      ->each([&](const std::string&) { arguments.session.count = ~uint64_t{0}; });
  app.add_option("--longest", arguments.session.generator.longest,
                 "instructions of a case, at most")
      ->check(CLI::Range(size_t{1}, CpuCase::kMaxInsns));
  app.add_option("--failures", arguments.session.most_failures, "stop after so many");
  app.add_option("--engine", arguments.subject,
                 "what to compare: interp, jit, or native with itself")
      ->check(CLI::IsMember({"interp", "jit", "native"}));
  app.add_option("--only", arguments.only, "only forms of this mnemonic, as the tables have it");
  app.add_option("--case", arguments.one, "one case again, as SEED:INDEX");
  app.add_flag("--undefined-flags", arguments.session.compare.undefined_flags,
               "compare undefined flags too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  arguments.session.generator.only = arguments.only;
  if (arguments.one.empty()) return true;
  const char* end = arguments.one.data() + arguments.one.size();
  const auto seed = std::from_chars(arguments.one.data(), end, arguments.session.generator.seed);
  const bool colon = seed.ec == std::errc{} && seed.ptr != end && *seed.ptr == ':';
  if (!colon || std::from_chars(seed.ptr + 1, end, arguments.session.first).ptr != end) {
    fmt::print(stderr, "cpu_diff: --case: wants SEED:INDEX\n");
    status = 2;
    return false;
  }
  arguments.session.count = 1;
  return true;
}

int run(const Arguments& arguments) {
  auto native = create_native_engine();
  if (!native) {
    fmt::print(stderr, "cpu_diff: {}\n", native.error().message());
    return 2;
  }
  husk::Result<std::unique_ptr<Engine>> subject;
  if (arguments.subject != "native") subject = create_interp_engine(arguments.subject == "jit");
  if (!subject) {
    fmt::print(stderr, "cpu_diff: {}\n", subject.error().message());
    return 2;
  }
  Engine& other = *subject != nullptr ? **subject : **native;
  SessionOptions options = arguments.session;
  options.generator.segment_bases = (*native)->has_segment_bases() && other.has_segment_bases();
  const SessionResult result = run_session(**native, other, options);
  for (const Failure& failure : result.failures)
    fmt::print("{}  {} such\n\n", failure.report, failure.times);
  fmt::print("{} cases of {} instructions, {} of them ended by a fault, {} kinds of differences\n",
             result.cases, result.instructions, result.faults, result.failures.size());
  return result.failures.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  int status = 0;
  if (!parse(argc, argv, arguments, status)) return status;
  return run(arguments);
}
