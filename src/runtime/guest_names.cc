#include "runtime/guest_names.h"

#include <fmt/core.h>

#include "base/random.h"
#include "base/try.h"

namespace husk::runtime {
namespace {

constexpr size_t kBytes = 16;
constexpr size_t kLongestHostname = 64;  // Linux's __NEW_UTS_LEN
constexpr std::string_view kOfHostnames =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

Result<std::string> make() {
  std::string bytes = HUSK_TRY(base::random_bytes(kBytes));
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);  // this variant
  std::string id;
  for (const char byte : bytes) id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return id;
}

}  // namespace

Result<std::string> resolve_machine_id(std::string_view wanted) {
  if (wanted.empty()) return std::string();
  if (wanted == kNewMachineId) return make();
  if (wanted.size() != 2 * kBytes ||
      wanted.find_first_not_of("0123456789abcdef") != std::string_view::npos ||
      wanted.find_first_not_of('0') == std::string_view::npos)
    return fail(ErrorKind::kInvalidArgument, "machine id",
                fmt::format("{} is not `new`, nor 32 lower-case hexadecimal digits, not all of "
                            "them zero",
                            wanted));
  return std::string(wanted);
}

Result<void> check_hostname(std::string_view wanted) {
  if (wanted.empty()) return {};
  if (wanted.size() > kLongestHostname ||
      wanted.find_first_not_of(kOfHostnames) != std::string_view::npos ||
      wanted.find_first_of("-.") == 0)
    return fail(ErrorKind::kInvalidArgument, "host name",
                fmt::format("{} is not one of at most {} letters, digits, - and .", wanted,
                            kLongestHostname));
  return {};
}

}  // namespace husk::runtime
