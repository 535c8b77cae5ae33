#include "api/cgroup.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "api/proc_text.h"

namespace husk::api {

using host::Sources;

namespace {

// Version 1 shows PAGE_COUNTER_MAX where there is no limit; nothing real is as large.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

// A line of /proc/PID/cgroup: "ID:CONTROLLERS:PATH" (cgroups(7)).
struct Membership {
  std::string_view id, controllers, path;
};

std::optional<Membership> parse_membership(std::string_view line) {
  const size_t first = line.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = line.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return Membership{line.substr(0, first), line.substr(first + 1, second - first - 1),
                    line.substr(second + 1)};
}

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == wanted) return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

// This process's group of version 2 (`controller` empty), or of a version 1 hierarchy.
std::optional<std::string> group_path(const Sources& sources, std::string_view controller) {
  const auto text = read_text(sources.proc + "/self/cgroup");
  if (!text) return std::nullopt;
  for (const std::string_view line : lines(*text)) {
    const auto member = parse_membership(line);
    if (!member) continue;
    const bool unified = member->id == "0" && member->controllers.empty();
    if (controller.empty() ? unified : lists(member->controllers, controller))
      return std::string(member->path);
  }
  return std::nullopt;
}

std::optional<uint64_t> first_number(const std::string& mount, const std::string& group,
                                     const std::string& file) {
  for (const std::string& directory : {mount + group, mount}) {
    const auto text = read_text(directory + "/" + file);
    if (!text) continue;
    const auto value = parse_number<uint64_t>(*text);
    if (value && *value < kNoLimit) return value;
  }
  return std::nullopt;
}

std::optional<uint32_t> cpus_of(uint64_t quota_us, uint64_t period_us) {
  if (period_us == 0) return std::nullopt;
  return static_cast<uint32_t>(std::clamp<uint64_t>(quota_us / period_us, 1, UINT32_MAX));
}

// "QUOTA PERIOD" or "max PERIOD" (Linux, Documentation/admin-guide/cgroup-v2.rst, CPU).
std::optional<uint32_t> quota_v2(const std::string& directory) {
  const auto text = read_text(directory + "/cpu.max");
  if (!text) return std::nullopt;
  const std::string_view line = trim(*text);
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto quota = parse_number<uint64_t>(line.substr(0, space));
  const auto period = parse_number<uint64_t>(line.substr(space));
  if (!quota || !period) return std::nullopt;
  return cpus_of(*quota, *period);
}

// A quota of -1 is none (Linux, Documentation/scheduler/sched-bwc.rst).
std::optional<uint32_t> quota_v1(const std::string& directory) {
  const auto quota_text = read_text(directory + "/cpu.cfs_quota_us");
  const auto period_text = read_text(directory + "/cpu.cfs_period_us");
  if (!quota_text || !period_text) return std::nullopt;
  const auto quota = parse_number<int64_t>(*quota_text);
  const auto period = parse_number<uint64_t>(*period_text);
  if (!quota || *quota <= 0 || !period) return std::nullopt;
  return cpus_of(static_cast<uint64_t>(*quota), *period);
}

// The least of what `quota_of` says from the group up to the root.
template <class QuotaOf>
std::optional<uint32_t> least_quota(const std::string& mount, std::string group, QuotaOf quota_of) {
  std::optional<uint32_t> least;
  for (;;) {
    if (const auto cpus = quota_of(mount + group); cpus && (!least || *cpus < *least)) least = cpus;
    if (group.empty()) return least;
    group.resize(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
  }
}

}  // namespace

std::optional<uint64_t> cgroup_memory_limit(const Sources& sources) {
  const std::string mount = sources.sys + "/fs/cgroup";
  if (const auto group = group_path(sources, "")) {
    if (const auto limit = first_number(mount, *group, "memory.max")) return limit;
  }
  if (const auto group = group_path(sources, "memory")) {
    return first_number(mount + "/memory", *group, "memory.limit_in_bytes");
  }
  return std::nullopt;
}

std::optional<uint32_t> cgroup_cpu_limit(const Sources& sources) {
  const std::string mount = sources.sys + "/fs/cgroup";
  std::optional<uint32_t> limit;
  if (const auto group = group_path(sources, "")) limit = least_quota(mount, *group, quota_v2);
  if (const auto group = group_path(sources, "cpu")) {
    // Mounted alone, or together with the accounting.
    for (const char* name : {"/cpu", "/cpu,cpuacct"}) {
      const auto cpus = least_quota(mount + name, *group, quota_v1);
      if (cpus && (!limit || *cpus < *limit)) limit = cpus;
    }
  }
  return limit;
}

}  // namespace husk::api
