// Where the host is in a session's conversation, for a snapshot to keep.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/protocol/link.h"
#include "agent/protocol/message.h"

namespace husk::agent {

// With the guest as it was at the same moment, the conversation can go on.
struct Position {
  LinkPosition link;
  uint64_t credit = kStdinWindow;  // bytes of input that may still be sent
  bool started = false;
};

// nullopt: this is none.
[[nodiscard]] std::string encode_position(const Position& position);
[[nodiscard]] std::optional<Position> decode_position(std::string_view bytes);

}  // namespace husk::agent
