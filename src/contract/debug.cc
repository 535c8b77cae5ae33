#include "contract/debug.h"

#include <bit>

#include "base/try.h"

namespace husk::contract {
namespace {

Result<void> check_point(const DebugPoint& point, size_t number) {
  const std::string name = "debug point " + std::to_string(number);
  if (point.kind == DebugPoint::Kind::kExecute) return {};
  if (point.length > 8 || !std::has_single_bit(point.length))
    return fail(ErrorKind::kInvalidArgument, name, "must be 1, 2, 4 or 8 bytes long");
  if (point.addr % point.length != 0)
    return fail(ErrorKind::kInvalidArgument, name, "must lie at a multiple of its length");
  return {};
}

}  // namespace

Result<void> check_debug(const DebugOptions& options) {
  if (options.points.size() > DebugOptions::kMostPoints)
    return fail(ErrorKind::kInvalidArgument, "debug points",
                "are more than " + std::to_string(DebugOptions::kMostPoints));
  for (size_t number = 0; const DebugPoint& point : options.points)
    HUSK_TRY(check_point(point, number++));
  return {};
}

}  // namespace husk::contract
