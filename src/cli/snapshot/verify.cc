// husk snapshot verify: reads all of a snapshot's memory, and its parents', against their digests.
#include "snapshot/verify.h"

#include <fmt/core.h>

#include "base/try.h"
#include "cli/report.h"
#include "cli/snapshot/verbs.h"
#include "snapshot/location.h"

namespace husk::cli {
namespace {

Result<void> verify_one(const std::string& text) {
  const auto location = HUSK_TRY(snapshot::Location::parse(text));
  const snapshot::Chain chain = HUSK_TRY(location.open_chain());
  const auto damage = snapshot::verify(chain);
  for (const snapshot::Damage& piece : damage) report(piece.message());
  if (!damage.empty()) return fail(ErrorKind::kCorrupt, text, "is damaged");
  fmt::print("{}: whole, {} file{}\n", text, chain.links().size(),
             chain.links().size() == 1 ? "" : "s");
  return {};
}

int run(const std::vector<std::string>& names) {
  int code = 0;
  for (const std::string& name : names) code |= finish(verify_one(name));
  return code;
}

}  // namespace

void add_snapshot_verify(Verb& snapshot) {
  auto names = std::make_shared<std::vector<std::string>>();
  snapshot.verb("verify", "Check all bytes of snapshots and their parents")
      .required("SNAPSHOT", *names, "Name or path")
      .run([names] { return run(*names); });
}

}  // namespace husk::cli
