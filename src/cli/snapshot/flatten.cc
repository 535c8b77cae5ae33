// husk snapshot flatten: one full snapshot in the place of a chain.
#include <fmt/core.h>

#include "base/try.h"
#include "cli/report.h"
#include "cli/snapshot/verbs.h"
#include "snapshot/location.h"

namespace husk::cli {
namespace {

struct FlattenOptions {
  std::string from, to;
  snapshot::WriteOptions write;
};

Result<void> run(const FlattenOptions& options) {
  const auto from = HUSK_TRY(snapshot::Location::parse(options.from));
  const auto to = HUSK_TRY(snapshot::Location::parse(options.to));
  const snapshot::Chain chain = HUSK_TRY(from.open_chain());
  fmt::print("{}\n", snapshot::to_hex(HUSK_TRY(to.write_flat(chain, options.write))));
  return {};
}

}  // namespace

void add_snapshot_flatten(Verb& snapshot) {
  auto options = std::make_shared<FlattenOptions>();
  snapshot.verb("flatten", "Make one that needs no other; prints its id")
      .required("SNAPSHOT", options->from, "Name or path of the newest of a chain")
      .required("NEW", options->to, "Name or path of the one to make")
      .flag("--compress", options->write.compress, "With zstd: smaller, slower to restore")
      .run([options] { return finish(run(*options)); });
}

}  // namespace husk::cli
