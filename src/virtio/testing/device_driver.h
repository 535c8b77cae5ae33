// A driver's side of a whole device behind its MMIO transport, for tests: negotiates, sets up
// queues, sends buffers and hands back what the device wrote.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memory/guest_memory.h"
#include "virtio/mmio_transport.h"

namespace husk::virtio::testing {

class DeviceDriver {
 public:
  enum Register : uint64_t {
    kDeviceFeatures = 0x10,
    kDeviceFeaturesSel = 0x14,
    kDriverFeatures = 0x20,
    kDriverFeaturesSel = 0x24,
    kQueueSel = 0x30,
    kQueueSizeMax = 0x34,
    kQueueSize = 0x38,
    kQueueReady = 0x44,
    kQueueNotify = 0x50,
    kInterruptStatus = 0x60,
    kInterruptAck = 0x64,
    kStatus = 0x70,
    kQueueDesc = 0x80,
    kQueueDriver = 0x90,
    kQueueDevice = 0xa0,
    kConfig = 0x100,
  };
  static constexpr uint32_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8,
                            kNeedsReset = 0x40;
  static constexpr uint16_t kSize = 16;
  static constexpr uint64_t kRam = 0x100000;

  explicit DeviceDriver(std::unique_ptr<Device> device)
      : memory_(std::move(
            *memory::GuestMemory::create(std::vector<memory::RegionSpec>{{Gpa{0}, kRam}}))),
        transport_(make_transport(std::move(device))) {}

  [[nodiscard]] uint32_t read(uint64_t reg) {
    return static_cast<uint32_t>(transport_->read(reg, 4));
  }
  void write(uint64_t reg, uint64_t value) { transport_->write(reg, 4, value); }
  [[nodiscard]] uint64_t config(uint64_t offset, uint32_t size) {
    return transport_->read(kConfig + offset, size);
  }
  [[nodiscard]] bool line() const { return line_; }
  [[nodiscard]] bool broken() { return (read(kStatus) & kNeedsReset) != 0; }
  memory::GuestMemory& memory() { return *memory_; }
  MmioTransport& transport() { return *transport_; }

  [[nodiscard]] std::vector<std::byte> state() {
    contract::StateArchive archive;
    transport_->transfer_state(archive);
    return archive.take();
  }
  // The driver goes on over the same memory with another device, which is given `state`.
  [[nodiscard]] Result<void> go_on_with(std::unique_ptr<Device> device,
                                        std::span<const std::byte> state) {
    transport_ = make_transport(std::move(device));
    contract::StateArchive archive(state);
    transport_->transfer_state(archive);
    return archive.finish("device");
  }

  [[nodiscard]] uint64_t offered() {
    write(kDeviceFeaturesSel, 0);
    const uint64_t low = read(kDeviceFeatures);
    write(kDeviceFeaturesSel, 1);
    return low | uint64_t{read(kDeviceFeatures)} << 32;
  }
  // To FEATURES_OK; false: the device refused them.
  bool negotiate(uint64_t features) {
    write(kStatus, 0);
    write(kStatus, kAcknowledge | kDriver);
    write(kDriverFeaturesSel, 0);
    write(kDriverFeatures, features & 0xffffffff);
    write(kDriverFeaturesSel, 1);
    write(kDriverFeatures, features >> 32);
    write(kStatus, kAcknowledge | kDriver | kFeaturesOk);
    return (read(kStatus) & kFeaturesOk) != 0;
  }
  void set_up_queue(uint32_t queue) {
    write(kQueueSel, queue);
    write(kQueueSize, kSize);
    write(kQueueDesc, ring(queue));
    write(kQueueDriver, ring(queue) + 0x400);
    write(kQueueDevice, ring(queue) + 0x800);
    write(kQueueReady, 1);
  }
  void start(uint32_t queues, uint64_t features = kFeatureVersion1) {
    negotiate(features);
    start_agreed(queues);
  }
  // What remains to be done after negotiate().
  void start_agreed(uint32_t queues) {
    for (uint32_t queue = 0; queue < queues; ++queue) {
      const std::array<std::byte, 0x1000> zeroes{};  // what a driver before it left there
      (void)memory_->write(Gpa{ring(queue)}, zeroes);
      set_up_queue(queue);
    }
    rings_.assign(queues, {});
    next_buffer_ = kBuffers;
    write(kStatus, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
  }

  struct Buffer {
    uint64_t address = 0;
    uint32_t length = 0;
    bool writable = false;
  };
  Buffer fill(std::string_view bytes) {
    const Buffer buffer = take(static_cast<uint32_t>(bytes.size()), false);
    (void)memory_->write(Gpa{buffer.address}, std::as_bytes(std::span(bytes)));
    return buffer;
  }
  Buffer room(uint32_t length) { return take(length, true); }
  [[nodiscard]] std::string text(const Buffer& buffer, size_t length) {
    std::string out(length, '\0');
    (void)memory_->read(Gpa{buffer.address}, std::as_writable_bytes(std::span(out)));
    return out;
  }

  // Where a queue's descriptors are.
  static uint64_t ring(uint32_t queue) { return 0x1000 * (queue + 1); }
  // Makes a chain available, without a notification.
  void offer(uint32_t queue, const std::vector<Buffer>& buffers) {
    Ring& at = rings_[queue];
    const uint16_t head = at.next_descriptor;
    for (size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const auto index = static_cast<uint16_t>((head + i) % kSize);
      (void)memory_->store(
          Gpa{ring(queue) + index * 16u},
          Descriptor{buffers[i].address, buffers[i].length,
                     static_cast<uint16_t>((last ? 0 : 1) | (buffers[i].writable ? 2 : 0)),
                     static_cast<uint16_t>((index + 1) % kSize)});
    }
    at.next_descriptor = static_cast<uint16_t>((head + buffers.size()) % kSize);
    (void)memory_->store<uint16_t>(Gpa{ring(queue) + 0x404 + at.available % kSize * 2u}, head);
    (void)memory_->store<uint16_t>(Gpa{ring(queue) + 0x402}, ++at.available);
  }
  void notify(uint32_t queue) { write(kQueueNotify, queue); }
  // The length of the next used element, if there is one.
  std::optional<uint32_t> used(uint32_t queue) {
    Ring& at = rings_[queue];
    if (*memory_->load<uint16_t>(Gpa{ring(queue) + 0x802}) == at.used) return std::nullopt;
    return *memory_->load<uint32_t>(Gpa{ring(queue) + 0x808 + at.used++ % kSize * 8u});
  }
  std::optional<uint32_t> send(uint32_t queue, const std::vector<Buffer>& buffers) {
    offer(queue, buffers);
    notify(queue);
    return used(queue);
  }

 private:
  [[nodiscard]] std::unique_ptr<MmioTransport> make_transport(std::unique_ptr<Device> device) {
    return std::make_unique<MmioTransport>(
        std::move(device), *memory_,
        contract::IrqLine([](void* self, uint32_t,
                             bool level) { static_cast<DeviceDriver*>(self)->line_ = level; },
                          this, 0));
  }

  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
  };
  struct Ring {
    uint16_t next_descriptor = 0, available = 0, used = 0;
  };
  static constexpr uint64_t kBuffers = 0x20000;

  Buffer take(uint32_t length, bool writable) {
    const Buffer buffer{next_buffer_, length, writable};
    next_buffer_ += length;
    return buffer;
  }

  std::unique_ptr<memory::GuestMemory> memory_;
  bool line_ = false;
  std::unique_ptr<MmioTransport> transport_;
  std::vector<Ring> rings_;
  uint64_t next_buffer_ = kBuffers;
};

}  // namespace husk::virtio::testing
