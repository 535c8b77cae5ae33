// A host behind a vsock device, in memory, for tests: each stream has a Peer that the test keeps.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contract/vsock_port.h"

namespace husk::virtio::testing {

// The other end of a stream. The test sets what is above the line, the device what is below.
struct VsockPeer {
  uint64_t id = 0;
  std::string sends;      // and has not been read
  bool ends = false;      // when that is read
  bool broken = false;    // to read
  size_t room = 1 << 20;  // it takes so much before it is full
  bool deaf = false, gone = false;
  // ----
  std::string got;
  uint32_t host_port = 0;  // of connected()
  bool guest_ended = false, guest_stopped_reading = false, closed = false;
};

class FakeStream : public contract::VsockStream {
 public:
  explicit FakeStream(std::shared_ptr<VsockPeer> peer)
      : VsockStream(peer->id), peer_(std::move(peer)) {}
  ~FakeStream() override { peer_->closed = true; }

  void connected(uint32_t host_port) override { peer_->host_port = host_port; }
  Moved read(std::span<std::byte> into) override {
    if (peer_->broken) return {0, Way::kBroken};
    const size_t n = std::min(into.size(), peer_->sends.size());
    std::ranges::copy(std::as_bytes(std::span(peer_->sends)).first(n), into.begin());
    peer_->sends.erase(0, n);
    return {n, n < into.size() && peer_->ends ? Way::kEnded : Way::kOpen};
  }
  Moved write(std::span<const std::byte> from) override {
    if (peer_->deaf || peer_->gone) return {0, Way::kBroken};
    const size_t n = std::min(from.size(), peer_->room);
    peer_->room -= n;
    peer_->got.append(reinterpret_cast<const char*>(from.data()), n);
    return {n, Way::kOpen};
  }
  void end_writing() override { peer_->guest_ended = true; }
  void end_reading() override { peer_->guest_stopped_reading = true; }
  [[nodiscard]] bool gone() const override { return peer_->gone; }

 private:
  std::shared_ptr<VsockPeer> peer_;
};

class FakeVsockHost : public contract::VsockHost {
 public:
  // What outlives the host, which the device owns.
  struct World {
    contract::VsockPort* port = nullptr;
    std::vector<uint32_t> listening;
    std::vector<std::shared_ptr<VsockPeer>> peers;  // of all connections, in order
    uint64_t next_id = 1;

    std::shared_ptr<VsockPeer> new_peer() {
      peers.push_back(std::make_shared<VsockPeer>());
      peers.back()->id = next_id++;
      return peers.back();
    }
    std::shared_ptr<VsockPeer> open(uint32_t guest_port) {
      const auto peer = new_peer();
      port->open(guest_port, std::make_unique<FakeStream>(peer));
      return peer;
    }
    void ready(const VsockPeer& peer) const { port->ready(peer.id); }
  };

  explicit FakeVsockHost(World& world) : world_(world) {}
  void start(contract::VsockPort& port) override { world_.port = &port; }
  std::unique_ptr<contract::VsockStream> connect(uint32_t port) override {
    if (std::ranges::find(world_.listening, port) == world_.listening.end()) return nullptr;
    return std::make_unique<FakeStream>(world_.new_peer());
  }

 private:
  World& world_;
};

}  // namespace husk::virtio::testing
