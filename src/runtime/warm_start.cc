#include "runtime/warm_start.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "oci/cache.h"
#include "runtime/file_identity.h"
#include "runtime/machine_snapshot.h"
#include "runtime/serial_watch.h"
#include "snapshot/restore.h"
#include "snapshot/store.h"

namespace husk::runtime {
namespace {

constexpr uint64_t kReadyLimitNs = 120'000'000'000;  // for a boot on a slow host

// The serial port of a machine that boots, of which only one thing is of interest.
class ReadyWait {
 public:
  [[nodiscard]] contract::ByteSink& serial() { return watch_; }
  // False: not within `limit_ns`.
  [[nodiscard]] bool wait(uint64_t limit_ns) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(limit_ns), [&] { return ready_; });
  }

 private:
  void ready() {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  SerialWatch watch_{[](std::string_view) {}, [this](std::string_view) { ready(); }};
};

// Everything that a base depends on, in one name. The program stands for the agent in it, the
// devices and the formats.
Result<std::string> name_of(const ContainerPlan& plan) {
  std::string text;
  const auto add = [&](std::string_view what, const auto& value) {
    text += fmt::format("{}: {}\n", what, value);
  };
  add("program", HUSK_TRY(program_identity()));
  add("kernel", HUSK_TRY(file_identity(plan.kernel.path)));
  add("modules", HUSK_TRY(file_identity(plan.kernel.modules)));
  add("backend", plan.backend);
  add("kernel irqchip", plan.kernel_irqchip);
  add("cpu model", husk::name(plan.config.cpu_model));
  add("cpus", plan.config.cpus);
  add("memory", plan.config.memory_mb);
  add("command line", plan.config.cmdline.value_or(""));
  return snapshot::to_hex(HUSK_TRY(snapshot::sha256(std::as_bytes(std::span(text)))));
}

Result<snapshot::Store> open_store() {
  const std::string cache = HUSK_TRY(oci::default_cache_directory());
  std::error_code error;
  std::filesystem::create_directories(cache, error);  // the store's own error is clearer
  return snapshot::Store::open(cache + "/base");
}

// Bases that were not used for longest make room. One that another process is about to open is
// made anew by it.
void trim(const snapshot::Store& store) {
  auto entries = store.list();
  if (!entries || entries->size() < kMostBases) return;
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> by_use;
  for (const snapshot::StoreEntry& entry : *entries) {
    std::error_code error;
    const auto path = store.path_of(entry.name);
    if (path) by_use.emplace_back(std::filesystem::last_write_time(*path, error), entry.name);
  }
  std::ranges::sort(by_use);
  for (size_t i = 0; i + kMostBases <= by_use.size(); ++i) (void)store.remove(by_use[i].second);
}

void mark_used(const std::string& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

// Boots a machine with no disk until its agent listens, and puts it into the store.
Result<void> bake(const ContainerPlan& plan, const snapshot::Store& store,
                  const std::string& name) {
  const uint64_t start = base::monotonic_ns();
  ReadyWait agent;
  const ContainerMachine made = HUSK_TRY(build_container_machine(plan, agent.serial()));
  HUSK_TRY(boot_container_machine(plan, made, agent.serial()));
  ManagedMachine& machine = made.machine();
  if (!agent.wait(kReadyLimitNs))
    return fail(ErrorKind::kTimeout, "base snapshot", "the guest's agent does not start");
  HUSK_TRY(machine.pause());
  snapshot::Contents contents = to_contents(HUSK_TRY(machine.capture()));
  contents.origin.backend = plan.backend;
  contents.origin.cpu_model = husk::name(plan.config.cpu_model);
  contents.origin.identity["kernel"] = plan.kernel.path;
  trim(store);
  const auto written = store.write_full(name, contents, machine.guest_memory());
  machine.halt();
  // Somebody else was faster.
  if (!written && written.error().kind != ErrorKind::kState)
    return std::unexpected(written.error());
  base::log(base::LogLevel::kDebug, "made base snapshot {} in {} ms", name,
            (base::monotonic_ns() - start) / 1'000'000);
  return {};
}

Result<WarmStart> restore(const snapshot::Store& store, const std::string& name) {
  const snapshot::Chain chain = HUSK_TRY(store.open_chain(name));
  WarmStart warm;
  warm.state = HUSK_TRY(from_contents(chain.tip().contents()));
  warm.memory = HUSK_TRY(snapshot::restore_memory(chain));
  mark_used(HUSK_TRY(store.path_of(name)));
  return warm;
}

}  // namespace

Result<WarmStart> warm_start(const ContainerPlan& plan) {
  ContainerPlan base = plan;
  base.config.root_disk.reset();
  base.vsock.clear();
  const std::string name = HUSK_TRY(name_of(base));
  const snapshot::Store store = HUSK_TRY(open_store());
  if (std::filesystem::exists(HUSK_TRY(store.path_of(name)))) {
    auto warm = restore(store, name);
    if (warm) return warm;
    base::log(base::LogLevel::kWarn, "{}; it is made anew", warm.error().message());
    (void)store.remove(name, true);
  }
  HUSK_TRY(bake(base, store, name));
  return restore(store, name);
}

}  // namespace husk::runtime
