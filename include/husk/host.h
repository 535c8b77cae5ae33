// What the host offers, and the defaults that follow from it (seed 000, types.rs). Sizes are bytes.
//
// Every function may be called from any thread. Facts are read anew at each call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace husk::host {

enum class CpuArch : uint8_t { kX86_64, kAarch64 };

// The architecture that this program was compiled for; others do not compile.
[[nodiscard]] constexpr CpuArch native_arch() {
#if defined(__x86_64__)
  return CpuArch::kX86_64;
#elif defined(__aarch64__)
  return CpuArch::kAarch64;
#else
#error "this CPU architecture is not supported"
#endif
}

[[nodiscard]] std::string_view name(CpuArch arch);  // "x86_64", "aarch64"

// What a hypervisor can give. The defaults are what any of them can.
struct PlatformCapabilities {
  std::vector<CpuArch> supported_archs{native_arch()};
  uint32_t max_vcpus = 1;                   // of one VM
  uint64_t max_memory = uint64_t{1} << 30;  // of one VM, bytes
  bool nested_virt = false;
  // Programs of the other architecture run in the guest: Rosetta on macOS; on Linux, what the
  // host's binfmt_misc offers.
  bool rosetta = false;

  bool operator==(const PlatformCapabilities&) const = default;
};

// Where facts are read. The defaults are the running host; a test gives directories of its own, and
// numbers in place of the system calls.
struct Sources {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::optional<uint64_t> physical_memory;  // bytes; instead of sysinfo(2), 0 as if it had failed
  std::optional<uint32_t> usable_cpus;  // instead of sched_getaffinity(2), 0 as if it had failed
};

// The least of physical memory and this process's cgroup limit; 0 when physical memory cannot be
// told. The limit is, of cgroup v2, memory.max of the group in /proc/self/cgroup, else the root's;
// without one, of v1, memory.limit_in_bytes likewise. "max", 0 and v1's sentinel (2^62 and above)
// are no limits.
[[nodiscard]] uint64_t host_memory_size(const Sources& sources = {});

// Half of host_memory_size(), within [512 MiB, 16 GiB], rounded down to a MiB; 4 GiB if that is
// unknown.
[[nodiscard]] uint64_t default_vm_memory_size(const Sources& sources = {});

// The CPUs that this process may use: its affinity mask, and no more than the quota of its cgroup
// and of the groups around it pays for (rounded down, at least 1); 4 if unknown.
[[nodiscard]] uint32_t default_vm_cpu_count(const Sources& sources = {});

// The text of the warning below; empty unless host memory is known and `memory_size` is more than
// half of it.
[[nodiscard]] std::optional<std::string> memory_warning(uint64_t memory_size,
                                                        const Sources& sources = {});
// Logs a warning (base/log) for a VM that takes more than half of the host. The one wording of all
// backends.
void warn_memory_exceeds_host_half(uint64_t memory_size, const Sources& sources = {});

// Whether KVM on this host lets a guest use virtualization itself.
[[nodiscard]] bool nested_virtualization(const Sources& sources = {});
// Whether binfmt_misc has an enabled interpreter for ELF programs of `arch`.
[[nodiscard]] bool translates(CpuArch arch, const Sources& sources = {});

}  // namespace husk::host
