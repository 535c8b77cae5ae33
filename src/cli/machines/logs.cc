// husk logs: what a detached machine's command has written, and writes.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/clock.h"
#include "base/try.h"
#include "cli/attend.h"
#include "cli/machines/duration.h"
#include "cli/machines/each.h"
#include "cli/report.h"
#include "registry/output_log.h"

namespace husk::cli::machines {
namespace {

using registry::OutputPiece;
using registry::OutputReader;

struct Choice {
  uint64_t since_ns = 0;
  uint64_t most_lines = ~0ULL;
  bool timestamps = false;
};

Result<Choice> parse(const LogsOptions& options) {
  Choice choice;
  choice.timestamps = options.timestamps;
  if (!options.since.empty())
    choice.since_ns = HUSK_TRY(parse_moment(options.since, base::realtime_ns()));
  if (options.tail == "all") return choice;
  const char* end = options.tail.data() + options.tail.size();
  const auto parsed = std::from_chars(options.tail.data(), end, choice.most_lines);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return fail(ErrorKind::kInvalidArgument, "--tail", "is neither a number of lines nor all");
  return choice;
}

// Prints from a line on, whose number counts those that are recent enough.
class Printer {
 public:
  Printer(const Choice& choice, uint64_t first_line) : choice_(choice), first_line_(first_line) {}

  void take(const OutputPiece& piece) {
    bool& shown = shown_[piece.stream == registry::Stream::kOut ? 0 : 1];
    if (piece.starts_line) shown = piece.time_ns >= choice_.since_ns && lines_++ >= first_line_;
    if (!shown) return;
    std::string text;
    if (choice_.timestamps && piece.starts_line) text = timestamp(piece.time_ns) + " ";
    text += piece.text;
    write_all(piece.stream == registry::Stream::kOut ? STDOUT_FILENO : STDERR_FILENO, text);
  }
  [[nodiscard]] uint64_t lines() const { return lines_; }

 private:
  const Choice& choice_;
  uint64_t first_line_, lines_ = 0;
  bool shown_[2] = {false, false};  // the line that each stream is in
};

Result<void> print_all(OutputReader& reader, Printer& printer) {
  while (const auto piece = HUSK_TRY(reader.next())) printer.take(*piece);
  return {};
}

Result<uint64_t> count_lines(OutputReader& reader, const Choice& choice) {
  Printer counter(choice, ~0ULL);
  HUSK_TRY(print_all(reader, counter));
  reader.rewind();
  return counter.lines();
}

// Says when a file grows, or a process ends.
class Growth {
 public:
  Growth(const std::string& file, const registry::Record& record)
      : changes_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (record.is_live()) process_ = registry::open_process(*record.owner);
    ::inotify_add_watch(changes_.get(), file.c_str(), IN_MODIFY);
  }
  // False: the process has ended; it may have written before.
  bool wait() {
    if (!process_.valid()) return false;
    std::array<pollfd, 2> watched{{{process_.get(), POLLIN, 0}, {changes_.get(), POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), kLongestWaitMs);
    std::array<char, 4096> ignored;
    while (::read(changes_.get(), ignored.data(), ignored.size()) > 0) {
    }
    return watched[0].revents == 0;
  }

 private:
  static constexpr int kLongestWaitMs = 1000;  // where there is no inotify left for the user
  base::Fd changes_, process_;
};

Result<void> print(const LogsOptions& options) {
  const Choice choice = HUSK_TRY(parse(options));
  const auto registry = HUSK_TRY(registry::Registry::open_default());
  const auto machine = HUSK_TRY(registry.find(options.name));
  if (!machine.record.detached)
    return fail(ErrorKind::kState, label(machine.record),
                "has no log: its output goes to who started it");
  const std::string file = machine.folder.at(registry::kOutputFile);
  OutputReader reader = HUSK_TRY(OutputReader::open(file));
  uint64_t first = 0;
  if (choice.most_lines != ~0ULL) {
    const uint64_t all = HUSK_TRY(count_lines(reader, choice));
    first = all - std::min(all, choice.most_lines);
  }
  Printer printer(choice, first);
  HUSK_TRY(print_all(reader, printer));
  if (!options.follow) return {};
  for (Growth growth(file, machine.record); growth.wait();) HUSK_TRY(print_all(reader, printer));
  return print_all(reader, printer);
}

}  // namespace

int logs(const LogsOptions& options) {
  const auto printed = print(options);
  if (printed) return 0;
  report(printed.error());
  return kRefused;
}

}  // namespace husk::cli::machines
