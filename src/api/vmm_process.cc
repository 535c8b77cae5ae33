// The identity of a process from /proc/PID/stat (proc(5)).
#include "husk/lifecycle.h"

#include "api/proc_text.h"
#include "base/try.h"

namespace husk::lifecycle {

namespace {

struct Stat {
  char state = 0;                 // field 3
  uint64_t start_time_ticks = 0;  // field 22
};

// The name in field 2 is the process's own choice, spaces and parentheses included: fields are
// counted from the last parenthesis.
std::optional<Stat> parse_stat(std::string_view text) {
  const size_t end = text.rfind(')');
  if (end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(end + 1);
  Stat stat;
  for (int field = 3; field <= 22; ++field) {
    const size_t start = text.find_first_not_of(" \n");
    if (start == std::string_view::npos) return std::nullopt;
    const size_t stop = std::min(text.find_first_of(" \n", start), text.size());
    const std::string_view word = text.substr(start, stop - start);
    text.remove_prefix(stop);
    if (field == 3) stat.state = word.front();
    if (field != 22) continue;
    const auto ticks = api::parse_number<uint64_t>(word);
    if (!ticks) return std::nullopt;
    stat.start_time_ticks = *ticks;
  }
  return stat;
}

std::optional<Stat> stat_of(uint32_t pid, const std::string& proc) {
  const auto text = api::read_text(proc + "/" + std::to_string(pid) + "/stat");
  return text ? parse_stat(*text) : std::nullopt;
}

}  // namespace

Result<VmmProcess> VmmProcess::of(uint32_t pid, const std::string& proc) {
  const auto stat = stat_of(pid, proc);
  if (!stat) return fail(ErrorKind::kNotFound, "process " + std::to_string(pid), "does not exist");
  return VmmProcess(pid, stat->start_time_ticks);
}

bool VmmProcess::is_alive(const std::string& proc) const {
  const auto stat = stat_of(pid_, proc);
  if (!stat || stat->state == 'Z' || stat->state == 'X') return false;
  return !start_time_ticks_ || *start_time_ticks_ == stat->start_time_ticks;
}

}  // namespace husk::lifecycle
