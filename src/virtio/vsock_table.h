// All connections of a vsock device, and whose turn it is to send: one packet each.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "contract/state_archive.h"
#include "virtio/vsock_connection.h"

namespace husk::virtio {

class VsockTable {
 public:
  static constexpr size_t kMost = 1023;  // connections, also those that only hold data for the host

  [[nodiscard]] VsockConnection* find(VsockKey key);
  [[nodiscard]] VsockConnection* find(uint64_t id);
  [[nodiscard]] size_t size() const { return by_id_.size(); }
  // Whether one more fits. A full table gives up one that waits for nothing but the guest's reset.
  [[nodiscard]] bool has_room();
  // Its key and its id are new.
  VsockConnection& add(std::unique_ptr<VsockConnection> connection);
  // A host's port that no connection to `guest_port` has.
  [[nodiscard]] VsockKey free_key(uint32_t guest_port);

  // After anything was done with it: it waits for its turn if it wants to send, and goes if there
  // is nothing left to do.
  void settle(VsockConnection& connection);
  [[nodiscard]] bool has_turns() const { return !turns_.empty(); }
  // Whose turn it is, and no longer; null: nobody's.
  [[nodiscard]] VsockConnection* next();
  void clear();
  // Without the connections: what keeps those of a machine that goes on elsewhere from being taken
  // for former ones.
  void transfer_state(contract::StateArchive& state);

 private:
  struct Entry {
    std::unique_ptr<VsockConnection> connection;
    bool has_key = true, has_turn = false;
  };
  void drop_key(Entry& entry);

  std::unordered_map<uint64_t, Entry> by_id_;
  std::map<VsockKey, VsockConnection*> by_key_;
  std::deque<uint64_t> turns_;
  uint32_t next_host_port_ = 0;
};

}  // namespace husk::virtio
