#include "virtio/vsock_connection.h"

#include <algorithm>
#include <span>

namespace husk::virtio {

using contract::VsockStream;

VsockConnection::VsockConnection(VsockKey key, std::unique_ptr<VsockStream> stream)
    : key_(key),
      id_(stream->id()),
      stream_(std::move(stream)),
      requested_(true),
      must_request_(true) {}

VsockConnection::VsockConnection(VsockKey key, std::unique_ptr<VsockStream> stream,
                                 const VsockHeader& request)
    : key_(key), id_(stream->id()), stream_(std::move(stream)), must_respond_(true) {
  credit_.guest_says(request);
}

void VsockConnection::take(const VsockHeader& packet, const Chain& chain) {
  if (packet.op == VsockOp::kReset) {
    closed_ = true;
    must_reset_ = false;
    return guest_left();
  }
  if (must_reset_) return;  // which answers this packet too
  if (packet.type != kVsockStream) return abort();
  credit_.guest_says(packet);
  if (credit_.may_send() != 0) asked_for_credit_ = false;
  obey(packet, chain);
}

void VsockConnection::obey(const VsockHeader& packet, const Chain& chain) {
  if (requested_ != (packet.op == VsockOp::kResponse)) return abort();
  switch (packet.op) {
    case VsockOp::kResponse:
      return accepted();
    case VsockOp::kData:
      return receive(packet, chain);
    case VsockOp::kShutdown:
      return guest_shuts(packet.flags & kVsockNeither);
    case VsockOp::kCreditUpdate:
      return;
    case VsockOp::kCreditRequest:
      must_tell_credit_ = true;
      return;
    default:  // a second request among them
      return abort();
  }
}

void VsockConnection::accepted() {
  if (must_request_) return abort();  // an answer to what was not asked yet
  requested_ = false;
  stream_->connected(key_.host_port);
  look_at_stream();
}

void VsockConnection::receive(const VsockHeader& packet, const Chain& chain) {
  const uint64_t there = chain.readable_bytes() - VsockHeader::kSize;
  if (packet.length > there || (guest_ends_ & kVsockNoSend) != 0 || !credit_.receive(packet.length))
    return abort();
  if (packet.length == 0) return;
  if (stream_ == nullptr || (ends_ & kVsockNoReceive) != 0)
    return credit_.forward(packet.length);  // on its way when the host stopped listening
  const size_t before = held_.size();
  held_.resize(before + packet.length);
  chain.read(VsockHeader::kSize, std::span(held_).subspan(before));
  deliver();
}

// Both ways at once or one after the other (5.10.6.5): then the guest waits for a reset.
void VsockConnection::guest_shuts(uint32_t flags) {
  guest_ends_ |= flags;
  if (guest_ends_ == kVsockNeither) {
    must_reset_ = true;
    return guest_left();
  }
  if (stream_ == nullptr) return;
  if ((guest_ends_ & kVsockNoReceive) != 0) stream_->end_reading();
  deliver();
}

void VsockConnection::guest_left() {
  if (requested_) stream_.reset();
  guest_ends_ = kVsockNeither;
  deliver();
  if (held_.empty()) stream_.reset();
}

void VsockConnection::abort() {
  stream_.reset();
  held_ = {};
  must_reset_ = !closed_;
}

void VsockConnection::deliver() {
  while (stream_ != nullptr && writable_ && !held_.empty()) {
    const VsockStream::Moved moved = stream_->write(held_);
    if (moved.bytes < held_.size()) writable_ = false;
    held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(moved.bytes));
    credit_.forward(static_cast<uint32_t>(moved.bytes));
    if (moved.way == VsockStream::Way::kBroken) host_is_deaf();
  }
  if (!held_.empty()) return;
  held_ = {};  // a connection that rests holds nothing
  if (stream_ != nullptr && (guest_ends_ & kVsockNoSend) != 0) stream_->end_writing();
}

// What the guest still sends goes nowhere; what the host has sent is for the guest.
void VsockConnection::host_is_deaf() {
  drop_held();
  host_shuts(kVsockNoReceive);
}

void VsockConnection::look_at_stream() {
  if (stream_ == nullptr) return;
  readable_ = writable_ = true;
  if (requested_) {
    if (stream_->gone()) host_left();
    return;
  }
  deliver();
  if (stream_ == nullptr) return;
  if (closed_ || must_reset_) {
    if (held_.empty()) stream_.reset();
    return;
  }
  const bool reads_no_more = ((ends_ & kVsockNoSend) | (guest_ends_ & kVsockNoReceive)) != 0;
  if (reads_no_more && stream_->gone()) host_shuts(kVsockNeither);
}

// Before the guest has answered; it may not even have been asked.
void VsockConnection::host_left() {
  if (!must_request_) return abort();
  stream_.reset();
  closed_ = true;
}

void VsockConnection::host_shuts(uint32_t flags) {
  ends_ |= flags;
  if (ends_ != kVsockNeither) return;
  drop_held();
  stream_.reset();
}

void VsockConnection::drop_held() {
  credit_.forward(static_cast<uint32_t>(held_.size()));
  held_ = {};
}

bool VsockConnection::may_read() const {
  return stream_ != nullptr && readable_ && !requested_ && !must_respond_ &&
         ((ends_ & kVsockNoSend) | (guest_ends_ & kVsockNoReceive)) == 0;
}

// Straight into the guest's buffers.
size_t VsockConnection::read_host(const Chain& chain) {
  size_t skip = VsockHeader::kSize, done = 0, most = credit_.may_send();
  for (const std::span<std::byte> part : chain.writable) {
    const size_t skipped = std::min(skip, part.size());
    skip -= skipped;
    const std::span<std::byte> room = part.subspan(skipped);
    const std::span<std::byte> into = room.first(std::min(room.size(), most - done));
    if (into.empty()) continue;
    const VsockStream::Moved moved = stream_->read(into);
    done += moved.bytes;
    if (moved.way == VsockStream::Way::kBroken) {
      abort();
      return 0;
    }
    if (moved.way == VsockStream::Way::kEnded)
      host_shuts(stream_->gone() ? kVsockNeither : kVsockNoSend);
    readable_ = moved.bytes == into.size() && moved.way == VsockStream::Way::kOpen;
    if (!readable_) break;
  }
  return done;
}

VsockOp VsockConnection::next_op() const {
  if (closed_) return VsockOp::kInvalid;
  if (must_reset_) return VsockOp::kReset;
  if (must_request_) return VsockOp::kRequest;
  if (must_respond_) return VsockOp::kResponse;
  if (requested_) return VsockOp::kInvalid;
  if (may_read() && credit_.may_send() != 0) return VsockOp::kData;
  if ((ends_ & ~told_) != 0) return VsockOp::kShutdown;
  if (must_tell_credit_ || credit_.worth_telling()) return VsockOp::kCreditUpdate;
  if (may_read() && !asked_for_credit_) return VsockOp::kCreditRequest;
  return VsockOp::kInvalid;
}

bool VsockConnection::wants_to_send() const { return next_op() != VsockOp::kInvalid; }

size_t VsockConnection::send(const Chain& chain, VsockHeader& header) {
  header = {};
  header.source_port = key_.host_port;
  header.destination_port = key_.guest_port;
  if (next_op() == VsockOp::kData) header.length = static_cast<uint32_t>(read_host(chain));
  header.op = header.length != 0 ? VsockOp::kData : next_op();
  switch (header.op) {
    case VsockOp::kInvalid:
      return 0;
    case VsockOp::kData:
      if (header.length == 0) return 0;
      credit_.sent(header.length);
      break;
    case VsockOp::kRequest:
      must_request_ = false;
      break;
    case VsockOp::kReset:
      must_reset_ = false;
      closed_ = true;
      break;
    case VsockOp::kResponse:
      must_respond_ = false;
      break;
    case VsockOp::kShutdown:
      header.flags = told_ = ends_;
      break;
    case VsockOp::kCreditRequest:
      asked_for_credit_ = true;
      break;
    default:
      break;
  }
  must_tell_credit_ = false;
  credit_.stamp(header);
  return VsockHeader::kSize + header.length;
}

}  // namespace husk::virtio
