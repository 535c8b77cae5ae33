// The remote protocol's packets: $PAYLOAD#CHECKSUM, and the bytes that stand between them. What a
// payload means is the session's. Source: the GDB manual, appendix "Remote Protocol", "Overview".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace husk::gdb {

// Of a payload as it is sent: what we tell the client as PacketSize, and hold it to.
inline constexpr size_t kMostPayload = size_t{16} << 10;

// With the bytes escaped that must be, and the checksum.
[[nodiscard]] std::string frame(std::string_view payload);

struct Received {
  enum class Kind : uint8_t {
    kPacket,
    kBroken,     // a packet with another checksum, or longer than kMostPayload
    kInterrupt,  // 0x03 between packets: stop the guest
    kAck,
    kNak,  // once more, please
  };
  Kind kind = Kind::kPacket;
  std::string payload{};  // kPacket, unescaped
};

// One direction's bytes, one by one; never holds more than a packet.
class PacketParser {
 public:
  [[nodiscard]] std::optional<Received> take(char byte);

 private:
  enum class State : uint8_t { kBetween, kPayload, kEscaped, kSumHigh, kSumLow };

  [[nodiscard]] std::optional<Received> between(char byte);
  void in_payload(char byte);
  void keep(char byte);
  [[nodiscard]] Received finish(char low);

  State state_ = State::kBetween;
  std::string payload_;
  uint8_t sum_ = 0;
  char sum_high_ = 0;
  bool too_long_ = false;
};

}  // namespace husk::gdb
