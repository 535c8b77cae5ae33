#include "virtio/vsock.h"

#include <array>
#include <bit>
#include <utility>

#include "base/try.h"

namespace husk::virtio {
namespace {

constexpr size_t kMostRefusals = 256;
constexpr uint32_t kTransportReset = 0;  // an event, 5.10.6.7

std::unexpected<Error> malformed(const char* why) {
  return fail(ErrorKind::kCorrupt, "vsock packet", why);
}

}  // namespace

Vsock::Vsock(uint64_t guest_cid, std::unique_ptr<contract::VsockHost> host)
    : guest_cid_(guest_cid), host_(std::move(host)) {
  host_->start(*this);
}

// The host's thread may be about to call.
Vsock::~Vsock() {
  {
    const std::lock_guard lock(mutex());
    give_up();
  }
  host_.reset();
}

uint8_t Vsock::read_config(uint64_t offset) const {
  return offset < sizeof(guest_cid_) ? static_cast<uint8_t>(guest_cid_ >> 8 * offset) : 0;
}

void Vsock::activate(uint64_t, std::vector<Queue>& queues, Notifier& notifier) {
  queues_ = &queues;
  notifier_ = &notifier;
}

void Vsock::give_up() {
  queues_ = nullptr;
  table_.clear();
  refusals_.clear();
}

void Vsock::reset() {
  give_up();
  notifier_ = nullptr;
  must_announce_reset_ = false;  // a driver that starts has no connections
  unnoticed_.reset();
}

void Vsock::signal(uint32_t queue) {
  if ((*queues_)[queue].needs_interrupt()) notifier_->used_buffer();
}

Result<void> Vsock::notified(uint32_t) {
  if (queues_ == nullptr) return {};
  auto result = exchange();
  if (!result) give_up();
  return result;
}

void Vsock::from_host() {
  if (held_ || queues_ == nullptr || exchange()) return;
  give_up();
  notifier_->needs_reset();
}

void Vsock::go_on() {
  held_ = false;
  from_host();
}

void Vsock::transfer_state(contract::StateArchive& state) {
  bool connections = table_.size() != 0 || !refusals_.empty() || must_announce_reset_ || unnoticed_;
  state.version(2);
  state.value(guest_cid_);
  state.value(connections);
  table_.transfer_state(state);
  if (!state.reading()) return;
  table_.clear();
  refusals_.clear();
  must_announce_reset_ = connections && queues_ != nullptr;
  unnoticed_.reset();
}

// To give makes room for refusals, and so may allow to take more.
Result<void> Vsock::exchange() {
  HUSK_TRY(give_event());
  look_for_notice();
  do {
    HUSK_TRY(take_packets());
    HUSK_TRY(give_packets());
  } while (refusals_.size() < kMostRefusals && (*queues_)[kTransmit].ready() &&
           !(*queues_)[kTransmit].arm_notification());
  return {};
}

Result<void> Vsock::take_packets() {
  Queue& queue = (*queues_)[kTransmit];
  if (!queue.ready()) return {};
  while (refusals_.size() < kMostRefusals && HUSK_TRY(take_packet())) {
  }
  signal(kTransmit);
  return {};
}

Result<bool> Vsock::take_packet() {
  Queue& queue = (*queues_)[kTransmit];
  const auto chain = HUSK_TRY(queue.pop());
  if (!chain) return false;
  const auto packet = read_vsock_header(*chain);
  if (!packet) return malformed("shorter than its header");
  obey(*packet, *chain);
  HUSK_TRY(queue.push(*chain, 0));
  return true;
}

// A wrong source has no address that an answer could go to.
void Vsock::obey(const VsockHeader& packet, const Chain& chain) {
  if (packet.source_cid != guest_cid_) return;
  if (packet.destination_cid != kVsockHostCid) return refuse(packet);
  VsockConnection* connection = table_.find({packet.destination_port, packet.source_port});
  if (connection != nullptr) {
    connection->take(packet, chain);
    return table_.settle(*connection);
  }
  if (packet.op != VsockOp::kRequest || packet.type != kVsockStream) return refuse(packet);
  connect(packet);
}

void Vsock::connect(const VsockHeader& request) {
  if (!table_.has_room()) return refuse(request);
  auto stream = host_->connect(request.destination_port);
  if (stream == nullptr) return refuse(request);
  const VsockKey key{request.destination_port, request.source_port};
  table_.settle(table_.add(std::make_unique<VsockConnection>(key, std::move(stream), request)));
}

void Vsock::refuse(const VsockHeader& packet) {
  if (packet.op != VsockOp::kReset) refusals_.push_back(vsock_refusal(packet));
}

Result<void> Vsock::give_packets() {
  Queue& queue = (*queues_)[kReceive];
  if (!queue.ready()) return {};
  while (HUSK_TRY(give_packet())) {
  }
  signal(kReceive);
  return {};
}

Result<bool> Vsock::give_packet() {
  Queue& queue = (*queues_)[kReceive];
  if (refusals_.empty() && !may_send()) return false;
  const auto chain = HUSK_TRY(queue.pop());
  if (!chain) return !queue.arm_notification();
  if (chain->writable_bytes() <= VsockHeader::kSize) return malformed("no room for one");
  const size_t size = next_packet(*chain);
  if (size == 0) {
    queue.put_back();
    return false;
  }
  HUSK_TRY(queue.push(*chain, static_cast<uint32_t>(size)));
  return true;
}

size_t Vsock::next_packet(const Chain& chain) {
  if (!refusals_.empty()) {
    write_vsock_header(chain, refusals_.front());
    refusals_.pop_front();
    return VsockHeader::kSize;
  }
  while (may_send()) {
    VsockConnection* const connection = table_.next();
    if (connection == nullptr) break;
    VsockHeader header;
    const size_t size = connection->send(chain, header);
    table_.settle(*connection);
    if (size == 0) continue;
    header.source_cid = kVsockHostCid;
    header.destination_cid = guest_cid_;
    write_vsock_header(chain, header);
    return size;
  }
  return 0;
}

Result<void> Vsock::give_event() {
  Queue& queue = (*queues_)[kEvents];
  if (!must_announce_reset_ || !queue.ready()) return {};
  do {
    const auto chain = HUSK_TRY(queue.pop());
    if (!chain) continue;
    const size_t size = chain->write(0, std::as_bytes(std::span(&kTransportReset, 1)));
    must_announce_reset_ = size != sizeof(kTransportReset);
    if (!must_announce_reset_) unnoticed_ = queue.arm_for_another();
    HUSK_TRY(queue.push(*chain, static_cast<uint32_t>(size)));
  } while (must_announce_reset_ && !queue.arm_notification());
  signal(kEvents);
  return {};
}

// The driver gives the event's buffer back when it has done as the event says (5.10.6.7.1 leaves
// the order to it; Linux's does, and would end connections that were made meanwhile).
void Vsock::look_for_notice() {
  if (unnoticed_ && (*queues_)[kEvents].arm_for_another() != *unnoticed_) unnoticed_.reset();
}

bool Vsock::may_send() const { return !must_announce_reset_ && !unnoticed_ && table_.has_turns(); }

// Without a driver there is nobody to ask.
void Vsock::open(uint32_t guest_port, std::unique_ptr<contract::VsockStream> stream) {
  const std::lock_guard lock(mutex());
  if (queues_ == nullptr || !table_.has_room()) return;
  table_.settle(table_.add(
      std::make_unique<VsockConnection>(table_.free_key(guest_port), std::move(stream))));
  from_host();
}

void Vsock::ready(uint64_t id) {
  const std::lock_guard lock(mutex());
  VsockConnection* connection = table_.find(id);
  if (connection == nullptr) return;
  connection->look_at_stream();
  table_.settle(*connection);
  from_host();
}

}  // namespace husk::virtio
