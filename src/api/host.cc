#include "husk/host.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "api/cgroup.h"
#include "base/checked.h"
#include "base/log.h"

namespace husk::host {

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kLeastDefault = 512 * kMiB, kMostDefault = 16384 * kMiB,
                   kUnknownDefault = 4096 * kMiB;
constexpr uint32_t kUnknownCpus = 4;

uint64_t physical_memory() {
  struct sysinfo info{};
  if (::sysinfo(&info) != 0) return 0;
  return base::checked_mul<uint64_t>(info.totalram, info.mem_unit).value_or(0);
}

// 0 if unknown. The mask grows until the kernel's fits.
uint32_t affinity_cpus() {
  for (size_t cpus = CPU_SETSIZE; cpus <= size_t{1} << 20; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cpus),
                                                               [](cpu_set_t* p) { CPU_FREE(p); });
    if (set == nullptr) return 0;
    if (::sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set.get()) == 0)
      return static_cast<uint32_t>(CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set.get()));
    if (errno != EINVAL) return 0;
  }
  return 0;
}

}  // namespace

std::string_view name(CpuArch arch) { return arch == CpuArch::kX86_64 ? "x86_64" : "aarch64"; }

uint64_t host_memory_size(const Sources& sources) {
  const uint64_t physical = sources.physical_memory ? *sources.physical_memory : physical_memory();
  const uint64_t limit = api::cgroup_memory_limit(sources).value_or(0);
  return limit > 0 && limit < physical ? limit : physical;
}

uint64_t default_vm_memory_size(const Sources& sources) {
  const uint64_t host = host_memory_size(sources);
  if (host == 0) return kUnknownDefault;
  return base::align_down(std::clamp(host / 2, kLeastDefault, kMostDefault), kMiB);
}

uint32_t default_vm_cpu_count(const Sources& sources) {
  const uint32_t usable = sources.usable_cpus ? *sources.usable_cpus : affinity_cpus();
  if (usable == 0) return kUnknownCpus;
  return std::min(usable, api::cgroup_cpu_limit(sources).value_or(usable));
}

std::optional<std::string> memory_warning(uint64_t memory_size, const Sources& sources) {
  const uint64_t host = host_memory_size(sources);
  if (host == 0 || memory_size <= host / 2) return std::nullopt;
  return fmt::format(
      "a VM of {} MB takes more than half of the host's {} MB; the host may run out of memory",
      memory_size / kMiB, host / kMiB);
}

void warn_memory_exceeds_host_half(uint64_t memory_size, const Sources& sources) {
  if (const auto text = memory_warning(memory_size, sources))
    base::log(base::LogLevel::kWarn, "{}", *text);
}

}  // namespace husk::host
