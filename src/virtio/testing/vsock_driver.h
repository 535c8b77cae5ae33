// A guest's side of a vsock device, for tests: packets out and in.
#pragma once

#include <array>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "virtio/testing/device_driver.h"
#include "virtio/vsock.h"

namespace husk::virtio::testing {

struct VsockPacket {
  VsockHeader header;
  std::string payload;
};

class VsockDriver {
 public:
  static constexpr uint32_t kReceive = 0, kTransmit = 1, kEvents = 2, kQueues = 3;
  static constexpr uint32_t kRoom = 4096;  // for the payload of a packet

  explicit VsockDriver(std::unique_ptr<Device> device)
      : mutex_(device->mutex()), driver_(std::move(device)) {
    start();
  }

  void start() {
    offered_.clear();
    driver_.start(kQueues);
  }
  // So many buffers for packets.
  void give_room(size_t count, uint32_t payload = kRoom) {
    for (size_t i = 0; i < count; ++i) {
      const std::lock_guard lock(mutex_);
      const uint32_t size = static_cast<uint32_t>(VsockHeader::kSize) + payload;
      const uint64_t place = 0x40000 + next_place_++ % DeviceDriver::kSize * 0x4000;
      offered_.push_back({place, size, true});
      driver_.offer(kReceive, {offered_.back()});
    }
    driver_.notify(kReceive);
  }
  // A packet as it is, but for the CIDs where they are 0.
  void send(VsockHeader header, std::string_view payload = {}) {
    if (header.source_cid == 0) header.source_cid = Vsock::kGuestCid;
    if (header.destination_cid == 0) header.destination_cid = kVsockHostCid;
    std::string bytes(VsockHeader::kSize, '\0');
    std::memcpy(bytes.data(), &header, VsockHeader::kSize);
    bytes += payload;
    {
      const std::lock_guard lock(mutex_);
      (void)driver_.memory().write(Gpa{0x20000}, std::as_bytes(std::span(bytes)));
      driver_.offer(kTransmit, {{0x20000, static_cast<uint32_t>(bytes.size()), false}});
    }
    driver_.notify(kTransmit);
    const std::lock_guard lock(mutex_);
    (void)driver_.used(kTransmit);
  }
  // The next packet of the device's, into a new buffer if there is none.
  std::optional<VsockPacket> hear() {
    if (offered_.empty()) give_room(1);
    const std::lock_guard lock(mutex_);
    const auto length = driver_.used(kReceive);
    if (!length || *length < VsockHeader::kSize) return std::nullopt;
    const std::string bytes = driver_.text(offered_.front(), *length);
    offered_.pop_front();
    VsockPacket packet;
    std::memcpy(static_cast<void*>(&packet.header), bytes.data(), VsockHeader::kSize);
    packet.payload = bytes.substr(VsockHeader::kSize);
    return packet;
  }
  DeviceDriver& device() { return driver_; }

 private:
  std::mutex& mutex_;  // the device's: other threads of the test's may be in it
  DeviceDriver driver_;
  std::deque<DeviceDriver::Buffer> offered_;
  uint64_t next_place_ = 0;
};

}  // namespace husk::virtio::testing
