// husk ps, inspect: what the registry says.
#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "base/clock.h"
#include "base/try.h"
#include "cli/machines/duration.h"
#include "cli/machines/each.h"
#include "cli/report.h"

namespace husk::cli::machines {
namespace {

using api::Json;
using registry::Machine;
using registry::Record;
using registry::State;

constexpr size_t kShortCommand = 20;

std::string since(uint64_t then_ns, uint64_t now_ns) {
  return roughly(now_ns - std::min(then_ns, now_ns));
}

// "Up 3 minutes", "Exited (0) 5 seconds ago"
std::string status(const Record& record, uint64_t now_ns) {
  switch (record.state) {
    case State::kCreated:
      return "Created";
    case State::kRunning:
      return "Up " + since(record.started_ns, now_ns);
    case State::kPaused:
      return "Up " + since(record.started_ns, now_ns) + " (Paused)";
    case State::kExited:
      return fmt::format("Exited ({}) {} ago", record.exit_code, since(record.finished_ns, now_ns));
    case State::kDead:
      break;
  }
  return "Dead";
}

// On one line, whatever is in it.
std::string printable(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string command_text(const Record& record, bool whole) {
  std::string text;
  for (const std::string& word : record.command) text += (text.empty() ? "" : " ") + word;
  text = printable(std::move(text));
  if (whole || text.size() <= kShortCommand) return '"' + text + '"';
  size_t end = kShortCommand - 1;  // not in the middle of a character of UTF-8
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return '"' + text.substr(0, end) + "…\"";
}

using Row = std::vector<std::string>;

// Of characters, as far as a table goes: the bytes of UTF-8 that begin one.
size_t width(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

void print_table(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]) + 3, ' ');
    }
    fmt::print("{}\n", line);
  }
}

Row row_of(const Record& record, bool whole, uint64_t now_ns) {
  return {whole ? record.id : record.short_id(),
          printable(record.image),
          command_text(record, whole),
          record.created_ns == 0 ? "" : since(record.created_ns, now_ns) + " ago",
          status(record, now_ns),
          record.name};
}

// As it is kept, with its times as people read them.
Json description(const Record& record, uint64_t now_ns) {
  Json json = to_json(record);
  for (const char* what : {"created", "started", "finished"}) {
    const std::string key = std::string(what) + "_ns";
    const uint64_t time = json[key];
    json.erase(key);
    json[what] = time == 0 ? Json() : Json(timestamp(time));
  }
  json["status"] = status(record, now_ns);
  return json;
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

int ps(const PsOptions& options) {
  const auto registry = registry::Registry::open_default();
  if (!registry) return report(registry.error());
  const auto machines = registry->list();
  if (!machines) return report(machines.error());
  const uint64_t now = base::realtime_ns();
  std::vector<Row> rows{{"MACHINE ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES"}};
  Json list = Json::array();
  for (const auto& [folder, record] : *machines) {
    if (!options.all && record.state != State::kRunning && record.state != State::kPaused) continue;
    rows.push_back(row_of(record, options.no_trunc, now));
    list.push_back(description(record, now));
  }
  if (options.quiet) {
    for (const Row& row : std::span(rows).subspan(1)) fmt::print("{}\n", row.front());
  } else if (options.format == "json") {
    print_json(list);
  } else {
    print_table(rows);
  }
  return 0;
}

// An array, also when some are not there.
int inspect(const Names& names) {
  const auto registry = registry::Registry::open_default();
  if (!registry) return report(registry.error());
  Json list = Json::array();
  int code = 0;
  for (const std::string& name : names) {
    const auto machine = registry->find(name);
    if (!machine) {
      report(machine.error());
      code = kRefused;
      continue;
    }
    Json json = description(machine->record, base::realtime_ns());
    json["folder"] = machine->folder.path();
    list.push_back(std::move(json));
  }
  print_json(list);
  return code;
}

}  // namespace husk::cli::machines
