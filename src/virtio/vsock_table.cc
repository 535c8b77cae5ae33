#include "virtio/vsock_table.h"

#include <algorithm>

namespace husk::virtio {
namespace {

// The host's own ports, far from those that guests ask for.
constexpr uint32_t kFirstHostPort = 1u << 30, kHostPorts = 1u << 30;

}  // namespace

VsockConnection* VsockTable::find(VsockKey key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

VsockConnection* VsockTable::find(uint64_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.connection.get();
}

bool VsockTable::has_room() {
  if (by_id_.size() < kMost) return true;
  const auto idle = std::ranges::find_if(
      by_id_, [](const auto& item) { return item.second.connection->waits_for_reset(); });
  if (idle == by_id_.end()) return false;
  drop_key(idle->second);
  by_id_.erase(idle);
  return true;
}

VsockConnection& VsockTable::add(std::unique_ptr<VsockConnection> connection) {
  VsockConnection& added = *connection;
  by_key_[added.key()] = &added;
  by_id_[added.id()].connection = std::move(connection);
  return added;
}

VsockKey VsockTable::free_key(uint32_t guest_port) {
  for (;;) {  // there are more ports than connections
    const VsockKey key{kFirstHostPort + next_host_port_, guest_port};
    next_host_port_ = (next_host_port_ + 1) % kHostPorts;
    if (find(key) == nullptr) return key;
  }
}

void VsockTable::drop_key(Entry& entry) {
  if (std::exchange(entry.has_key, false)) by_key_.erase(entry.connection->key());
}

void VsockTable::settle(VsockConnection& connection) {
  const auto found = by_id_.find(connection.id());
  Entry& entry = found->second;
  if (connection.closed()) {
    drop_key(entry);
    if (!connection.holds_data()) by_id_.erase(found);
    return;
  }
  if (!entry.has_turn && connection.wants_to_send()) {
    entry.has_turn = true;
    turns_.push_back(connection.id());
  }
}

VsockConnection* VsockTable::next() {
  while (!turns_.empty()) {
    const auto found = by_id_.find(turns_.front());
    turns_.pop_front();
    if (found == by_id_.end()) continue;
    found->second.has_turn = false;
    return found->second.connection.get();
  }
  return nullptr;
}

void VsockTable::clear() {
  by_key_.clear();
  by_id_.clear();
  turns_.clear();
}

void VsockTable::transfer_state(contract::StateArchive& state) {
  state.value(next_host_port_);
  state.check(next_host_port_ < kHostPorts, "a host's port");
}

}  // namespace husk::virtio
