#include "agent/protocol/link.h"

#include <utility>

#include "agent/protocol/fields.h"

namespace husk::agent {
namespace {

constexpr size_t kPiece = 64 * 1024;  // about what is put on the wire at once

}  // namespace

Link::Link(LinkPosition position) : first_(position.first), wanted_(position.wanted) {
  for (std::string& frame : position.kept) {
    kept_bytes_ += frame.size();
    frames_.push_back(std::move(frame));
  }
}

LinkPosition Link::position() const { return {wanted_, first_, {frames_.begin(), frames_.end()}}; }

void Link::send(Type type, std::string_view payload) {
  frames_.push_back(encode(type, payload, first_ + frames_.size()));
  kept_bytes_ += frames_.back().size();
}

void Link::begin(std::string greeting, FrameParser parser) {
  wire_ = std::move(greeting);
  written_ = 0;
  control_.clear();
  parser_ = std::move(parser);
  unsent_ = 0;
  unacknowledged_ = 0;  // the greeting said it
  going_ = broken_ = false;
}

bool Link::can_go_on(uint64_t wanted) const {
  return wanted >= first_ && wanted - first_ <= frames_.size();
}

void Link::go_on(uint64_t wanted) {
  going_ = true;
  forget_before(wanted);
}

void Link::forget_before(uint64_t sequence) {
  for (; first_ < sequence; ++first_) {
    kept_bytes_ -= frames_.front().size();
    frames_.pop_front();
    if (unsent_ != 0) --unsent_;
  }
}

bool Link::has_outgoing() const {
  return written_ != wire_.size() || !control_.empty() || (going_ && unsent_ < frames_.size());
}

std::string_view Link::outgoing() {
  if (written_ == wire_.size()) {
    wire_ = std::exchange(control_, {});
    written_ = 0;
    while (going_ && unsent_ < frames_.size() && wire_.size() < kPiece) wire_ += frames_[unsent_++];
  }
  return std::string_view(wire_).substr(written_);
}

std::optional<Frame> Link::next() {
  while (!broken()) {
    auto frame = parser_.next();
    if (!frame) break;
    if (frame->type == Type::kAck) {
      broken_ = !can_go_on(frame->sequence);
      if (!broken_) forget_before(frame->sequence);
      continue;
    }
    const bool greeting = frame->type == Type::kAttached || frame->type == Type::kRefused;
    if (greeting || frame->sequence == wanted_) return frame;
    broken_ = true;
  }
  return std::nullopt;
}

void Link::delivered(const Frame& frame) {
  ++wanted_;
  unacknowledged_ += kHeaderSize + frame.payload.size();
  if (unacknowledged_ >= kAckEvery) acknowledge();
}

void Link::acknowledge() {
  control_ += encode(Type::kAck, {}, wanted_);
  unacknowledged_ = 0;
}

std::string encode_link_position(const LinkPosition& position) {
  std::string out;
  put_u64(out, position.wanted);
  put_u64(out, position.first);
  put_list(out, position.kept);
  return out;
}

// Of frames that are none the other end would hang up for ever.
std::optional<LinkPosition> decode_link_position(std::string_view bytes) {
  FieldReader reader(bytes);
  LinkPosition position;
  position.wanted = reader.long_number();
  position.first = reader.long_number();
  position.kept = reader.list();
  if (!reader.complete() || position.wanted == 0 || position.first == 0) return std::nullopt;
  uint64_t sequence = position.first;
  for (const std::string& kept : position.kept) {
    FrameParser parser;
    parser.feed(kept);
    const auto frame = parser.next();
    if (!frame || frame->sequence != sequence++ || parser.held() != 0) return std::nullopt;
  }
  return position;
}

}  // namespace husk::agent
