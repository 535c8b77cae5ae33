// What a backend's probe found out, kept in the cache: it takes a while, and its answer stays the
// same as long as the kernel, its device and this program do.
#pragma once

#include <functional>
#include <string>

#include "husk/error.h"

namespace husk::runtime {

using Probe = std::function<Result<std::string>()>;

// `probe`'s answer for `device`, or the one that it gave before to the same question; `directory`
// is the cache's. Other errors than kUnsupported are not remembered, and nothing is of a device
// that this process may not open, or where nothing can be kept.
[[nodiscard]] Result<std::string> probe_once(const std::string& directory,
                                             const std::string& device, const Probe& probe);

}  // namespace husk::runtime
