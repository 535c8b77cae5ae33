#include "registry/record.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/try.h"

namespace husk::registry {
namespace {

using api::Json;

constexpr size_t kIdDigits = 64;
constexpr std::array<std::string_view, 5> kStates{"created", "running", "paused", "exited", "dead"};

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::unexpected<Error> corrupt(const std::string& subject, const std::string& why) {
  return fail(ErrorKind::kCorrupt, subject, why);
}

// The members of a record by type, each named once for both directions.
void strings(auto& record, auto&& visit) {
  visit("id", record.id);
  visit("name", record.name);
  visit("image", record.image);
  visit("backend", record.backend);
  visit("cpu_model", record.cpu_model);
  visit("kernel", record.kernel);
  visit("stop_signal", record.stop_signal);
  visit("vsock", record.vsock);
  visit("reason", record.reason);
}
void numbers(auto& record, auto&& visit) {
  visit("memory_mb", record.memory_mb);
  visit("cpus", record.cpus);
  visit("created_ns", record.created_ns);
  visit("started_ns", record.started_ns);
  visit("finished_ns", record.finished_ns);
}
void flags(auto& record, auto&& visit) {
  visit("detached", record.detached);
  visit("remove", record.remove);
}

Result<uint64_t> number(const Json& json, const char* key, uint64_t most,
                        const std::string& subject) {
  const auto value = HUSK_TRY(api::size_member(json, key, subject));
  if (value.value_or(0) > most) return corrupt(subject, std::string(key) + " is out of range");
  return value.value_or(0);
}

Result<State> parse_state(const Json& json, const std::string& subject) {
  const std::string text = HUSK_TRY(api::string_member(json, "state", subject));
  const auto found = std::ranges::find(kStates, text);
  if (found == kStates.end()) return corrupt(subject, "state is not a known one");
  return static_cast<State>(found - kStates.begin());
}

Result<std::optional<Owner>> parse_owner(const Json& json, const std::string& subject) {
  const Json* object = HUSK_TRY(api::object_member(json, "owner", subject));
  if (object == nullptr) return std::nullopt;
  const uint64_t pid =
      HUSK_TRY(number(*object, "pid", std::numeric_limits<int32_t>::max(), subject));
  const auto start = HUSK_TRY(api::size_member(*object, "start_time_ticks", subject));
  if (pid == 0 || !start) return corrupt(subject, "owner is not a process");
  return Owner{{static_cast<uint32_t>(pid), *start},
               HUSK_TRY(api::string_member(*object, "boot_id", subject))};
}

Result<void> check(const Record& record, const std::string& subject) {
  if (record.id.size() != kIdDigits || !is_hex(record.id))
    return corrupt(subject, "id is not 64 hexadecimal digits");
  if (!is_machine_name(record.name)) return corrupt(subject, "name is not a machine's");
  if (record.is_live() && !record.owner) return corrupt(subject, "owner is missing");
  return {};
}

}  // namespace

std::string_view to_string(State state) { return kStates[static_cast<size_t>(state)]; }

bool is_machine_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && is_alnum(name.front()) &&
         std::ranges::all_of(
             name, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Json to_json(const Record& record) {
  Json json = Json::object();
  const auto write = [&](const char* key, const auto& value) { json[key] = value; };
  strings(record, write);
  numbers(record, write);
  flags(record, write);
  json["command"] = record.command;
  json["files"] = record.files;
  json["state"] = to_string(record.state);
  json["exit_code"] = record.exit_code;
  if (record.owner)
    json["owner"] = {{"pid", record.owner->process.pid()},
                     {"start_time_ticks", record.owner->process.start_time_ticks().value_or(0)},
                     {"boot_id", record.owner->boot_id}};
  return json;
}

Result<Record> parse_record(std::string_view text, const std::string& subject) {
  const Json json = HUSK_TRY(api::parse_json(text, subject));
  Record record;
  Result<void> read;  // the first that fails stays
  strings(record, [&](const char* key, std::string& value) {
    auto member = api::string_member(json, key, subject);
    if (member) value = std::move(*member);
    if (!member && read) read = std::unexpected(member.error());
  });
  numbers(record, [&](const char* key, uint64_t& value) {
    const auto member = number(json, key, ~0ULL, subject);
    if (member) value = *member;
    if (!member && read) read = std::unexpected(member.error());
  });
  HUSK_TRY(std::move(read));
  flags(record, [&](const char* key, bool& value) {
    const Json* member = api::member(json, key);
    value = member != nullptr && *member == true;
  });
  record.command = HUSK_TRY(api::strings_member(json, "command", subject));
  record.files = HUSK_TRY(api::strings_member(json, "files", subject));
  record.exit_code = static_cast<int>(HUSK_TRY(number(json, "exit_code", 255, subject)));
  record.state = HUSK_TRY(parse_state(json, subject));
  record.owner = HUSK_TRY(parse_owner(json, subject));
  HUSK_TRY(check(record, subject));
  return record;
}

}  // namespace husk::registry
