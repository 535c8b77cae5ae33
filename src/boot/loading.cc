#include "boot/loading.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "boot/layout.h"

namespace husk::boot {

Result<InitrdPlace> Loading::claim_initrd(uint64_t limit, bool above_4g) {
  const uint64_t size = request.initrd.size();
  if (size == 0) return InitrdPlace{};
  const std::string what = fmt::format("the initrd {}", request.initrd_name);
  auto address = placement.claim_highest(what, size, limit);
  if (!address && above_4g) address = placement.claim_highest(what, size, ~uint64_t{0});
  return InitrdPlace{HUSK_TRY(std::move(address)), size};
}

Result<void> Loading::write_initrd(InitrdPlace place) {
  return memory.write(Gpa{place.address}, request.initrd);
}

Result<void> Loading::check_command_line(const std::string& text, uint64_t limit) const {
  limit = std::min(limit, kCommandLineEnd - kCommandLine - 1);
  if (text.size() > limit)
    return fail(
        ErrorKind::kLimit, request.name,
        fmt::format("takes a command line of {} bytes, this one has {}", limit, text.size()));
  if (text.find('\0') != std::string::npos)
    return fail(ErrorKind::kInvalidArgument, request.name, "the command line has a NUL in it");
  return {};
}

Result<void> Loading::write_command_line(const std::string& text) {
  return memory.write(Gpa{kCommandLine}, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

}  // namespace husk::boot
