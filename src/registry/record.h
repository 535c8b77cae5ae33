// What the registry keeps of one machine, and its form on disk: a file of JSON, which is believed
// nothing when it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

#include "api/json.h"
#include "registry/owner.h"

namespace husk::registry {

enum class State : uint8_t {
  kCreated,  // being made, not started yet
  kRunning,
  kPaused,
  kExited,
  kDead,  // its record cannot be read; `reason` says why
};
[[nodiscard]] std::string_view to_string(State state);  // "created", ...

// Of a machine whose process ended without a word, as of a command that was killed.
inline constexpr int kKilledCode = 137;

// Times are nanoseconds since the Unix epoch, 0 for what has not happened.
struct Record {
  std::string id;    // 64 hexadecimal digits
  std::string name;  // unique: see is_machine_name
  std::string image;
  std::vector<std::string> command;
  std::string backend, cpu_model, kernel, stop_signal;  // as they were asked for; empty: default
  std::string vsock;               // where its vsock is reached; empty: in its folder
  std::vector<std::string> files;  // of the cache, that it uses
  uint64_t memory_mb = 0, cpus = 0;
  uint64_t created_ns = 0, started_ns = 0, finished_ns = 0;
  State state = State::kCreated;
  int exit_code = 0;
  std::string reason;  // why it ended, where the exit code does not say it
  std::optional<Owner> owner;
  bool detached = false;
  bool remove = false;  // goes when the machine has ended

  // Its process had it running when it was written last.
  [[nodiscard]] bool is_live() const {
    return state == State::kCreated || state == State::kRunning || state == State::kPaused;
  }
  [[nodiscard]] std::string short_id() const { return id.substr(0, kShortId); }

  static constexpr size_t kShortId = 12;
  bool operator==(const Record&) const = default;
};

// 1 to 128 of A-Z a-z 0-9 _ . -, beginning with a letter or a digit.
[[nodiscard]] bool is_machine_name(std::string_view name);
[[nodiscard]] bool is_hex(std::string_view text);  // of the digits 0-9 a-f

[[nodiscard]] api::Json to_json(const Record& record);
// kCorrupt, naming the field; `subject` is the file.
[[nodiscard]] Result<Record> parse_record(std::string_view text, const std::string& subject);

}  // namespace husk::registry
