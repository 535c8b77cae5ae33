#include "runtime/frozen_machine.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/directories.h"
#include "base/held_file.h"
#include "base/temp_file.h"
#include "base/try.h"
#include "oci/cache.h"
#include "runtime/file_identity.h"
#include "runtime/machine_snapshot.h"
#include "snapshot/restore.h"

namespace husk::runtime {
namespace {

// Never changed once it has its name; its times tell when it was used.
Result<std::string> root_identity(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return fail_errno(path, "cannot be looked at");
  return fmt::format("{} {}:{} {}", path, st.st_dev, st.st_ino, st.st_size);
}

std::string directory_of(FrozenKind kind) { return kind == FrozenKind::kBase ? "/base" : "/baked"; }

}  // namespace

Result<FrozenMachines> FrozenMachines::open(FrozenKind kind) {
  const std::string cache = HUSK_TRY(oci::default_cache_directory());
  HUSK_TRY(base::make_directories(cache, "cache directory"));
  return FrozenMachines(kind, HUSK_TRY(snapshot::Store::open(cache + directory_of(kind))));
}

// The program stands for the agent in it, the devices and the formats.
Result<std::string> FrozenMachines::name_for(const ContainerPlan& plan) const {
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
  if (plan.config.root_disk)
    add("root image", HUSK_TRY(root_identity(plan.config.root_disk->string())));
  return snapshot::to_hex(snapshot::sha256(std::as_bytes(std::span(text))));
}

Result<base::Fd> FrozenMachines::hold_all() const {
  return base::hold_file(store_.directory(), "directory");
}

Result<WarmStart> FrozenMachines::find(const std::string& name) const {
  const std::string path = HUSK_TRY(store_.path_of(name));
  WarmStart warm;
  warm.held = HUSK_TRY(base::hold_file(path, "snapshot"));
  const snapshot::Chain chain = HUSK_TRY(store_.open_chain(name));
  warm.state = HUSK_TRY(from_contents(chain.tip().contents()));
  warm.memory = HUSK_TRY(snapshot::restore_memory(chain));
  warm.path = path;
  base::mark_used(path);
  return warm;
}

Result<void> FrozenMachines::keep(const std::string& name, const ContainerMachine& machine,
                                  const ContainerPlan& plan, const std::string& label) const {
  HUSK_TRY(machine.machine().pause());
  snapshot::Contents contents = to_contents(HUSK_TRY(machine.machine().capture()));
  contents.origin.backend = plan.backend;
  contents.origin.cpu_model = husk::name(plan.config.cpu_model);
  contents.origin.identity["kernel"] = plan.kernel.path;
  if (!label.empty()) contents.origin.identity["name"] = label;
  if (plan.config.root_disk)
    contents.origin.identity["root"] = plan.config.root_disk->filename().string();
  base::sweep_temp_files(store_.directory());
  const bool replace = kind_ == FrozenKind::kBaked;
  const auto written =
      store_.write_full(name, contents, machine.machine().guest_memory(), {.replace = replace});
  machine.machine().halt();
  // Somebody else was faster.
  if (!written && (replace || written.error().kind != ErrorKind::kState))
    return std::unexpected(written.error());
  return {};
}

void FrozenMachines::drop(const std::string& name) const {
  if (const auto path = store_.path_of(name)) (void)base::remove_unheld(*path);
}

void FrozenMachines::trim(size_t most) const {
  const auto entries = store_.list();
  if (!entries || entries->size() <= most) return;
  std::vector<std::pair<std::filesystem::file_time_type, std::string>> by_use;
  for (const snapshot::StoreEntry& entry : *entries) {
    std::error_code error;
    const auto path = store_.path_of(entry.name);
    if (path) by_use.emplace_back(std::filesystem::last_write_time(*path, error), *path);
  }
  std::ranges::sort(by_use);
  size_t left = by_use.size();
  for (const auto& [time, path] : by_use) {
    if (left > most && base::remove_unheld(path).value_or(false)) --left;
  }
}

}  // namespace husk::runtime
