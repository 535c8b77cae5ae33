// One end of a session's conversation, apart from what carries it: what it says is numbered and
// kept until the other end has it, so that a conversation goes on over another connection with no
// frame lost or repeated.
//
// Numbered frames have sequences 1, 2, 3 ... in each direction. Attach, Attached and Ack are not
// numbered: their sequence is the next one that their sender wants, so all before it were
// delivered. Any other frame of sequence 0 has no place. No descriptor and no thread in here; not
// thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/protocol/message.h"

namespace husk::agent {

// Where one end of a conversation is. With the other end's state of the same moment it can go on.
struct LinkPosition {
  uint64_t wanted = 1;            // the next sequence to be delivered here
  uint64_t first = 1;             // of `kept`, or the next to be sent
  std::vector<std::string> kept;  // whole frames that the other end has not acknowledged
};

class Link {
 public:
  // An end that has delivered this much, in bytes of frames, says so.
  static constexpr size_t kAckEvery = 32 * 1024;

  Link() = default;
  explicit Link(LinkPosition position);
  [[nodiscard]] LinkPosition position() const;

  // Says a numbered frame, now or over the next connection.
  void send(Type type, std::string_view payload);
  // Bytes that the other end has not acknowledged.
  [[nodiscard]] size_t kept() const { return kept_bytes_; }

  // A connection takes the place of the one before; `greeting`, an encoded frame, is said first.
  // `parser` may hold what has been read of the connection already.
  void begin(std::string greeting, FrameParser parser = {});
  // Whether this end has all that the other one lacks, if `wanted` is what it wants next.
  [[nodiscard]] bool can_go_on(uint64_t wanted) const;
  // From here on numbered frames are said over this connection, those before `wanted` not again.
  // Only if it can.
  void go_on(uint64_t wanted);
  // What is to be written to the connection next, and how much of it was.
  [[nodiscard]] std::string_view outgoing();
  [[nodiscard]] bool has_outgoing() const;
  void wrote(size_t bytes) { written_ += bytes; }

  // What was read from the connection.
  void feed(std::span<const char> bytes) { parser_.feed(bytes); }
  // The next frame for this end, in order. Each numbered one is to be delivered() before the next.
  [[nodiscard]] std::optional<Frame> next();
  void delivered(const Frame& frame);
  // Says at once how much was delivered.
  void acknowledge();
  [[nodiscard]] uint64_t wanted() const { return wanted_; }
  // The other end broke the rules: nothing comes of this connection any more.
  [[nodiscard]] bool broken() const { return broken_ || parser_.broken(); }

 private:
  void forget_before(uint64_t sequence);

  std::deque<std::string> frames_;  // kept
  uint64_t first_ = 1;              // sequence of the first of them, or of the next
  size_t unsent_ = 0;               // index of the first that was not said over this connection
  size_t kept_bytes_ = 0;
  bool going_ = false;

  std::string control_;  // frames without a number, to be said
  std::string wire_;     // whole frames that are being written
  size_t written_ = 0;

  FrameParser parser_;
  uint64_t wanted_ = 1;
  size_t unacknowledged_ = 0;
  bool broken_ = false;
};

// For a snapshot. nullopt: this is none.
[[nodiscard]] std::string encode_link_position(const LinkPosition& position);
[[nodiscard]] std::optional<LinkPosition> decode_link_position(std::string_view bytes);

}  // namespace husk::agent
