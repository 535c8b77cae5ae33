// husk cache prune: removes what nobody uses.
#include "cache/prune.h"

#include <fmt/core.h>

#include <memory>

#include "base/clock.h"
#include "base/size.h"
#include "base/try.h"
#include "cli/cache/verbs.h"
#include "cli/machines/duration.h"
#include "cli/report.h"
#include "cli/table.h"

namespace husk::cli {
namespace {

struct PruneFlags {
  bool all = false;
  std::string keep, older_than;
};

Result<void> prune(const PruneFlags& flags) {
  cache::PruneOptions options{.baked = flags.all};
  if (!flags.keep.empty()) options.keep_bytes = HUSK_TRY(base::parse_size("--keep", flags.keep));
  if (!flags.older_than.empty())
    options.used_before_ns =
        HUSK_TRY(machines::parse_moment(flags.older_than, base::realtime_ns()));
  const auto place = HUSK_TRY(cache::default_place());
  const auto pruned = HUSK_TRY(cache::prune(place, options));
  for (const cache::Entry& entry : pruned.removed)
    fmt::print("{} {}\n", to_string(entry.kind), entry.label.empty() ? entry.name : entry.label);
  fmt::print("{} removed, {}\n", pruned.removed.size(), size_text(pruned.bytes));
  return {};
}

}  // namespace

void add_cache_prune(Verb& cache) {
  auto flags = std::make_shared<PruneFlags>();
  cache.verb("prune", "Remove what nobody uses, but for what was baked")
      .flag("-a,--all", flags->all, "What was baked, too")
      .option("--keep", flags->keep, "Leave as much as this, such as 10G, of what was used last")
      .option("--older-than", flags->older_than,
              "Only what was not used since: 48h, or a date as `husk logs --since` has it")
      .run([flags] { return finish(prune(*flags)); });
}

}  // namespace husk::cli
