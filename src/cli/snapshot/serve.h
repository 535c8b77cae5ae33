// The control verb "snapshot", in the process of the machine that is captured.
#pragma once

#include "husk/error.h"

#include "api/json.h"
#include "runtime/container.h"

namespace husk::cli {

// What `husk snapshot create` asks for and is answered.
inline constexpr const char* kSnapshotVerb = "snapshot";

// {"to": NAME or absolute path, "store": of a name, "diff", "live", "compress": flags}
// -> {"id", "path", "paused_ms", "memory_bytes", "rounds",
//     "pages_copied_again"}
[[nodiscard]] Result<api::Json> serve_snapshot(runtime::Container& container,
                                               const api::Json& request);

}  // namespace husk::cli
