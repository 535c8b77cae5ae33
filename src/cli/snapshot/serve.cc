#include "cli/snapshot/serve.h"

#include "base/log.h"
#include "base/try.h"

namespace husk::cli {
namespace {

bool flag(const api::Json& request, const char* key) {
  const api::Json* value = api::member(request, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

}  // namespace

Result<api::Json> serve_snapshot(runtime::Container& container, const api::Json& request) {
  const std::string to = HUSK_TRY(api::string_member(request, "to", kSnapshotVerb));
  const std::string store = HUSK_TRY(api::string_member(request, "store", kSnapshotVerb));
  runtime::CaptureRequest wanted{HUSK_TRY(snapshot::Location::parse(to, store))};
  wanted.diff = flag(request, "diff");
  wanted.live = flag(request, "live");
  wanted.write.compress = flag(request, "compress");
  const runtime::CaptureReport report = HUSK_TRY(container.capture(wanted));
  const double paused_ms = static_cast<double>(report.paused_ns) / 1e6;
  base::log(base::LogLevel::kDebug, "snapshot {}: paused for {:.1f} ms at most, {} rounds", to,
            paused_ms, report.rounds);
  return api::Json{{"id", snapshot::to_hex(report.id)},
                   {"path", wanted.to.path()},
                   {"paused_ms", paused_ms},
                   {"memory_bytes", report.memory_bytes},
                   {"rounds", report.rounds},
                   {"pages_copied_again", report.copied_again}};
}

}  // namespace husk::cli
