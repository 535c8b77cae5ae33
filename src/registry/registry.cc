#include "registry/registry.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "base/directories.h"
#include "base/log.h"
#include "base/random.h"
#include "base/try.h"

namespace husk::registry {
namespace {

namespace fs = std::filesystem;

// Folders that are being made or taken away, by who holds the lock. Without it: left behind.
constexpr const char* kMaking = "/.making-";
constexpr const char* kRemoving = "/.removing-";
constexpr uint64_t kLockLimitNs = 10'000'000'000;
constexpr long kLockRetryNs = 1'000'000;

Result<std::string> new_id() {
  std::string id;
  for (const char byte : HUSK_TRY(base::random_bytes(32)))
    id += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return id;
}

// Its process is gone, and there was something left to do.
bool is_left(const Record& record) {
  return record.owner && (record.is_live() || record.remove) && !is_alive(*record.owner);
}

bool goes_away(const Record& record) { return record.remove || record.state == State::kCreated; }

// What is left of a record that cannot be read: enough to show it, and to remove it.
Record dead_record(const std::string& folder, const Error& error) {
  Record record;
  record.id = folder;
  record.name = folder;
  record.state = State::kDead;
  record.reason = error.message();
  return record;
}

// The folder's name is the beginning of the id; another's is foreign. Nothing: it was removed
// meanwhile, for a folder loses its name before its files.
std::optional<Machine> read_machine(MachineFolder folder, const std::string& name) {
  auto record = folder.read();
  if (record && record->short_id() != name)
    record = fail(ErrorKind::kCorrupt, folder.path(), "holds the record of another machine");
  if (record) return Machine{std::move(folder), std::move(*record)};
  if (!fs::exists(folder.path())) return std::nullopt;
  return Machine{std::move(folder), dead_record(name, record.error())};
}

}  // namespace

Result<Registry> Registry::open_default() {
  if (base::environment("HUSK_STATE").empty() && ::geteuid() == 0) return open("/var/lib/husk");
  const std::string directory = HUSK_TRY(
      base::default_directory("state directory", "HUSK_STATE", "XDG_STATE_HOME", ".local/state"));
  return open(directory);
}

Result<Registry> Registry::open(const std::string& directory) {
  Registry registry(directory);
  HUSK_TRY(base::make_directories(registry.machines(), "state directory"));
  return registry;
}

Result<base::Fd> Registry::lock() const {
  const std::string path = directory_ + "/lock";
  base::Fd fd = HUSK_TRY(base::open_file(path, O_RDWR | O_CREAT, "the registry's lock", 0600));
  const uint64_t start = base::monotonic_ns();
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno(path, "cannot lock the registry");
    if (base::monotonic_ns() - start > kLockLimitNs)
      return fail(ErrorKind::kTimeout, path, "is held by another process for 10 s");
    const timespec pause{0, kLockRetryNs};
    ::nanosleep(&pause, nullptr);
  }
  return fd;
}

Result<Machine> Registry::create(Record record) const {
  if (!record.name.empty() && !is_machine_name(record.name))
    return fail(ErrorKind::kInvalidArgument, record.name,
                "is no name for a machine: 1 to 128 letters, digits, '_', '.' and '-', the first "
                "a letter or a digit");
  const base::Fd held = HUSK_TRY(lock());
  sweep();
  record.id = HUSK_TRY(new_id());
  record.created_ns = base::realtime_ns();
  record.state = State::kCreated;
  record.owner = HUSK_TRY(this_process());
  HUSK_TRY(claim_name(record));
  return make_folder(record);
}

// A name that is made of the id's random digits needs no look at the others.
Result<void> Registry::claim_name(Record& record) const {
  if (record.name.empty()) {
    record.name = "husk-" + record.short_id();
    return {};
  }
  for (const Machine& other : HUSK_TRY(read_all())) {
    const bool leaves = is_left(other.record) && goes_away(other.record);
    if (other.record.name == record.name && !leaves)
      return fail(ErrorKind::kState, record.name,
                  "the name is in use by machine " + other.record.short_id());
  }
  return {};
}

Result<Machine> Registry::make_folder(const Record& record) const {
  const std::string making = machines() + kMaking + record.short_id();
  const std::string path = machines() + "/" + record.short_id();
  if (::mkdir(making.c_str(), 0700) != 0)
    return fail_errno(making, "cannot make the machine's folder");
  MachineFolder folder = HUSK_TRY(MachineFolder::open(making));
  HUSK_TRY(folder.write(record, record.detached));
  if (::rename(making.c_str(), path.c_str()) != 0)
    return fail_errno(path, "cannot make the machine's folder");
  return Machine{HUSK_TRY(MachineFolder::open(path)), record};
}

Result<std::vector<Machine>> Registry::read_all() const {
  std::vector<Machine> all;
  std::error_code error;
  for (fs::directory_iterator it(machines(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.starts_with('.')) continue;
    auto folder = MachineFolder::open(it->path());
    if (!folder && folder.error().os_errno == ENOENT) continue;  // removed meanwhile
    if (!folder || name.size() != Record::kShortId || !is_hex(name)) {
      base::log(base::LogLevel::kWarn, "{}: is no machine's folder", it->path().string());
      continue;
    }
    auto machine = read_machine(std::move(*folder), name);
    if (machine) all.push_back(std::move(*machine));
  }
  if (error) return fail(ErrorKind::kIo, machines(), "cannot be listed: " + error.message());
  return all;
}

Result<std::vector<Machine>> Registry::list() const {
  std::vector<Machine> all = HUSK_TRY(read_all());
  if (std::ranges::any_of(all, [](const Machine& one) { return is_left(one.record); }))
    all = bury(std::move(all));
  std::ranges::sort(all, std::greater{}, [](const Machine& one) { return one.record.created_ns; });
  return all;
}

// Says what became of machines whose processes are gone, and lets those go that were not to stay:
// also those that had not started yet.
std::vector<Machine> Registry::bury(std::vector<Machine> all) const {
  const auto held = lock();
  std::vector<Machine> rest;
  for (Machine& seen : all) {
    const std::string name = seen.record.short_id();
    if (!held || !is_left(seen.record)) {
      rest.push_back(std::move(seen));
    } else if (auto now = read_machine(std::move(seen.folder), name); now && settle(*now)) {
      rest.push_back(std::move(*now));
    }
  }
  return rest;
}

// Under the lock. False: it has gone.
bool Registry::settle(Machine& machine) const {
  Record& record = machine.record;
  if (!is_left(record)) return true;
  if (goes_away(record)) {
    (void)take_away(machine);
    return false;
  }
  record.state = State::kExited;
  record.exit_code = kKilledCode;
  record.finished_ns = base::realtime_ns();
  record.reason = "its process is gone";
  (void)machine.folder.write(record, true);
  return true;
}

Result<Machine> Registry::find(std::string_view name) const {
  std::vector<Machine> all = HUSK_TRY(list());
  std::vector<Machine*> found;
  for (Machine& machine : all) {
    if (machine.record.id == name || machine.record.name == name) return std::move(machine);
    if (!name.empty() && machine.record.id.starts_with(name)) found.push_back(&machine);
  }
  if (found.size() == 1) return std::move(*found.front());
  if (found.empty())
    return fail(ErrorKind::kNotFound, std::string(name), "there is no such machine");
  return fail(ErrorKind::kInvalidArgument, std::string(name),
              fmt::format("is ambiguous: the ids of {} machines begin so", found.size()));
}

Result<void> Registry::remove(const Machine& machine) const {
  const base::Fd held = HUSK_TRY(lock());
  const auto record = machine.folder.read();
  if (record && record->is_live() && is_alive(*record->owner))
    return fail(ErrorKind::kState, machine.record.name,
                fmt::format("is {}: stop it first, or use -f", to_string(record->state)));
  return take_away(machine);
}

// The folder goes in one step, under the lock; its contents then.
Result<void> Registry::take_away(const Machine& machine) const {
  const std::string path = machines() + "/" + machine.record.short_id();
  const std::string removing = machines() + kRemoving + machine.record.short_id();
  std::error_code error;
  if (::rename(path.c_str(), removing.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(path, "cannot remove the machine");
  }
  fs::remove_all(removing, error);
  if (error) return fail(ErrorKind::kIo, path, "cannot be removed: " + error.message());
  return {};
}

void Registry::sweep() const {
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::directory_iterator it(machines(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = "/" + it->path().filename().string();
    if (name.starts_with(kMaking) || name.starts_with(kRemoving)) left.push_back(it->path());
  }
  for (const fs::path& path : left) {
    fs::remove_all(path, error);
    if (error)
      base::log(base::LogLevel::kWarn, "{}: cannot be removed: {}", path.string(), error.message());
  }
}

}  // namespace husk::registry
