#include "agent/host/position.h"

#include "agent/protocol/fields.h"

namespace husk::agent {

std::string encode_position(const Position& position) {
  std::string out;
  put_u64(out, position.credit);
  put_u32(out, position.started ? 1 : 0);
  return out + encode_link_position(position.link);
}

std::optional<Position> decode_position(std::string_view bytes) {
  constexpr size_t kOwn = 12;
  if (bytes.size() < kOwn) return std::nullopt;
  auto link = decode_link_position(bytes.substr(kOwn));
  const uint32_t started = get_u32(bytes.substr(8));
  const uint64_t credit = get_u64(bytes);
  if (!link || started > 1 || credit > kStdinWindow) return std::nullopt;
  return Position{std::move(*link), credit, started == 1};
}

}  // namespace husk::agent
