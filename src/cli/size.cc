#include "cli/size.h"

#include <fmt/core.h>

#include "husk/host.h"

#include "base/checked.h"
#include "base/size.h"
#include "base/try.h"
#include "contract/address.h"

namespace husk::cli {
Result<uint64_t> parse_memory(const std::string& text, uint64_t least) {
  const uint64_t size = base::align_down(HUSK_TRY(base::parse_size("--memory", text)), kPageSize);
  const uint64_t host = host::host_memory_size();
  if (size < least)
    return fail(ErrorKind::kInvalidArgument, "--memory",
                fmt::format("{} is too little, a guest needs {}M at least", text, least >> 20));
  if (host != 0 && size > host)
    return fail(ErrorKind::kInvalidArgument, "--memory",
                fmt::format("{} is more than the host's {}M", text, host >> 20));
  return size;
}

}  // namespace husk::cli
