#include "gdb/packet.h"

#include <utility>

#include "gdb/hex.h"

namespace husk::gdb {
namespace {

constexpr char kBegin = '$', kEnd = '#', kEscape = '}', kRunLength = '*', kInterrupt = 3;
constexpr char kEscapeBit = 0x20;

std::string two_digits(uint8_t sum) {
  const auto byte = std::byte{sum};
  return to_hex(std::span(&byte, 1));
}

}  // namespace

std::string frame(std::string_view payload) {
  std::string text(1, kBegin);
  for (const char c : payload) {
    const bool special = c == kBegin || c == kEnd || c == kEscape || c == kRunLength;
    if (special) text += kEscape;
    text += special ? static_cast<char>(c ^ kEscapeBit) : c;
  }
  uint8_t sum = 0;
  for (size_t n = 1; n < text.size(); ++n) sum += static_cast<uint8_t>(text[n]);
  return text + kEnd + two_digits(sum);
}

std::optional<Received> PacketParser::take(char byte) {
  switch (state_) {
    case State::kBetween:
      return between(byte);
    case State::kPayload:
    case State::kEscaped:
      in_payload(byte);
      return std::nullopt;
    case State::kSumHigh:
      sum_high_ = byte;
      state_ = State::kSumLow;
      return std::nullopt;
    case State::kSumLow:
      return finish(byte);
  }
  return std::nullopt;
}

// What is none of these is noise.
std::optional<Received> PacketParser::between(char byte) {
  switch (byte) {
    case kBegin:
      state_ = State::kPayload;
      payload_.clear();
      sum_ = 0;
      too_long_ = false;
      return std::nullopt;
    case kInterrupt:
      return Received{Received::Kind::kInterrupt};
    case '+':
      return Received{Received::Kind::kAck};
    case '-':
      return Received{Received::Kind::kNak};
    default:
      return std::nullopt;
  }
}

// A packet's end may have been lost: its beginning never stands within one.
void PacketParser::in_payload(char byte) {
  if (byte == kBegin) {
    (void)between(byte);
  } else if (byte == kEnd) {
    state_ = State::kSumHigh;
  } else {
    sum_ += static_cast<uint8_t>(byte);
    if (std::exchange(state_, State::kPayload) == State::kEscaped) {
      keep(static_cast<char>(byte ^ kEscapeBit));
    } else if (byte == kEscape) {
      state_ = State::kEscaped;
    } else {
      keep(byte);
    }
  }
}

void PacketParser::keep(char byte) {
  too_long_ = too_long_ || payload_.size() == kMostPayload;
  if (!too_long_) payload_ += byte;
}

Received PacketParser::finish(char low) {
  state_ = State::kBetween;
  const char digits[] = {sum_high_, low};
  if (too_long_ || number_from_hex({digits, 2}) != sum_) return {Received::Kind::kBroken};
  return {Received::Kind::kPacket, std::exchange(payload_, {})};
}

}  // namespace husk::gdb
