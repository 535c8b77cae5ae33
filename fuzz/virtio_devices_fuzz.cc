// A hostile driver before every virtio device: registers, rings, descriptors and requests as the
// fuzzer likes them, with shortcuts to well-formed ones so that it gets behind the front door.
// Stores are never used outside their size, what waits for a guest that does not read stays
// bounded, and after a reset each device starts anew.
#include <array>
#include <memory>
#include <vector>

#include "input.h"
#include "virtio/block.h"
#include "virtio/console.h"
#include "virtio/mmio_transport.h"
#include "virtio/rng.h"

namespace {

using namespace husk;  // NOLINT(google-build-using-namespace)
using fuzz::Input;
using fuzz::require;

constexpr uint64_t kRam = 0x10000, kRingSpace = 0x1000, kBuffers = 0xa000;
constexpr uint16_t kQueueSize = 8;
enum Register : uint64_t {
  kDriverFeatures = 0x20,
  kDriverFeaturesSelect = 0x24,
  kQueueSelect = 0x30,
  kQueueNum = 0x38,
  kQueueReady = 0x44,
  kQueueNotify = 0x50,
  kInterruptStatus = 0x60,
  kInterruptAck = 0x64,
  kStatus = 0x70,
  kQueueDescriptors = 0x80,
  kQueueDriver = 0x90,
  kQueueDevice = 0xa0,
};
constexpr uint32_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8;

class MemoryStore : public contract::BlockStore {
 public:
  explicit MemoryStore(bool read_only) : read_only_(read_only) {}
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  Result<void> read(uint64_t offset, std::span<std::byte> out) override {
    check(offset, out.size());
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  Result<void> write(uint64_t offset, std::span<const std::byte> in) override {
    require(!read_only_);
    check(offset, in.size());
    std::copy(in.begin(), in.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
    return {};
  }
  Result<void> flush() override { return {}; }
  Result<void> discard(uint64_t offset, uint64_t length) override {
    require(!read_only_);
    check(offset, length);
    return {};
  }
  Result<void> write_zeroes(uint64_t offset, uint64_t length, bool) override {
    return discard(offset, length);
  }

 private:
  void check(uint64_t offset, uint64_t length) const {
    require(offset <= bytes_.size() && length <= bytes_.size() - offset);
  }
  std::array<std::byte, 0x4000> bytes_{};
  bool read_only_;
};

class CountingSink : public contract::ByteSink {
 public:
  void write(std::span<const std::byte> data) override { require(data.size() <= kRam); }
};

class Machine {
 public:
  Machine() {
    add(std::make_unique<virtio::Block>(std::make_unique<MemoryStore>(false), "disk"));
    add(std::make_unique<virtio::Block>(std::make_unique<MemoryStore>(true), "read-only"));
    add(std::make_unique<virtio::Rng>());
    using Ports = std::vector<virtio::Console::PortSpec>;
    auto console = std::make_unique<virtio::Console>(
        Ports{{"console", true, &sink_}, {"agent", false, &sink_}});
    console_ = console.get();
    add(std::move(console));
  }

  void operate(Input& input) {
    const auto what = input.take<uint8_t>();
    const size_t device = what >> 6;
    virtio::MmioTransport& transport = *transports_[device];
    switch (what % 8) {
      case 0:
        (void)transport.read(input.take<uint16_t>() % 0x200, input.take_width());
        return;
      case 1:
        return transport.write(input.take<uint16_t>() % 0x200, input.take_width(),
                               input.take<uint64_t>());
      case 2:
        return bring_up(transport, input);
      case 3:
        return make_available(device, input);
      case 4:
        return poke(input);
      case 5:
        return host_side(input);
      case 6:
        return transport.write(kQueueNotify, 4, input.take<uint8_t>() % 8);
      default:
        return reset(transport);
    }
  }

 private:
  void add(std::unique_ptr<virtio::Device> device) {
    transports_.push_back(
        std::make_unique<virtio::MmioTransport>(std::move(device), *memory_, contract::IrqLine()));
  }

  static uint64_t ring(uint32_t queue) { return queue % 8 * kRingSpace; }

  // What a good driver does, but for the features, which are the fuzzer's.
  static void bring_up(virtio::MmioTransport& transport, Input& input) {
    reset(transport);
    const auto set = [&](uint64_t offset, uint64_t value) { transport.write(offset, 4, value); };
    set(kStatus, kAcknowledge | kDriver);
    set(kDriverFeaturesSelect, 0);
    set(kDriverFeatures, input.take<uint32_t>() & transport.read(0x10, 4));
    set(kDriverFeaturesSelect, 1);
    set(kDriverFeatures, 1);
    set(kStatus, kAcknowledge | kDriver | kFeaturesOk);
    for (uint32_t queue = 0; queue < 6; ++queue) {
      set(kQueueSelect, queue);
      set(kQueueNum, kQueueSize);
      set(kQueueDescriptors, ring(queue));
      set(kQueueDriver, ring(queue) + 0x100);
      set(kQueueDevice, ring(queue) + 0x200);
      set(kQueueReady, 1);
    }
    set(kStatus, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
  }

  static void reset(virtio::MmioTransport& transport) {
    transport.write(kStatus, 4, 0);
    require(transport.read(kStatus, 4) == 0 && transport.read(kInterruptStatus, 4) == 0);
  }

  // A chain of the fuzzer's shape whose first buffer begins with a block request's or a control
  // message's header; then the doorbell.
  void make_available(size_t device, Input& input) {
    const auto shape = input.take<uint8_t>();
    const uint32_t queue = shape & 7, count = 1 + (shape >> 3) % 7;
    const bool ring_bell = (shape & 0x40) == 0;
    struct {
      uint32_t type, reserved;
      uint64_t sector;
    } header = {input.take<uint8_t>() % 16u, input.take<uint8_t>() % 4u, input.take<uint8_t>()};
    if ((shape & 0x80) != 0) header.sector = input.take<uint64_t>();
    (void)memory_->store(Gpa{kBuffers}, header);
    for (uint32_t i = 0; i < count; ++i) {
      struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
      } descriptor;
      const auto kind = input.take<uint8_t>();
      descriptor.address = kBuffers + i * 0x400;
      if ((kind & 0xf0) == 0xf0) descriptor.address = input.take<uint64_t>();
      descriptor.length = i == 0 ? 16 : kind % 16 * 64 + (kind >> 4) % 2;
      if ((kind & 0xf8) == 0xe8) descriptor.length = input.take<uint32_t>();
      descriptor.flags = static_cast<uint16_t>((i + 1 < count ? 1 : 0) | (kind & 2) |
                                               ((kind & 0xfc) == 0xdc ? 4 : 0));
      descriptor.next = static_cast<uint16_t>(i + 1);
      (void)memory_->store(Gpa{ring(queue) + i * 16}, descriptor);
    }
    const uint64_t available = ring(queue) + 0x100;
    const auto index = memory_->load<uint16_t>(Gpa{available + 2}).value_or(0);
    (void)memory_->store<uint16_t>(Gpa{available + 4 + index % kQueueSize * 2u}, 0);
    (void)memory_->store<uint16_t>(Gpa{available + 2}, static_cast<uint16_t>(index + 1));
    if (ring_bell) transports_[device]->write(kQueueNotify, 4, queue);
  }

  void poke(Input& input) {
    const auto address = input.take<uint16_t>();
    (void)memory_->write(Gpa{address}, input.take_bytes(input.take<uint8_t>() & 63));
  }

  void host_side(Input& input) {
    const auto what = input.take<uint8_t>();
    if ((what & 1) != 0)
      return console_->resize(what >> 1 & 1, input.take<uint16_t>(), input.take<uint16_t>());
    const auto bytes = input.take_bytes(what);
    require(console_->input(what >> 1 & 1).push(bytes) <= bytes.size());
  }

  static constexpr memory::RegionSpec kRegions[] = {{Gpa{0}, kRam}};
  std::unique_ptr<memory::GuestMemory> memory_ = std::move(*memory::GuestMemory::create(kRegions));
  CountingSink sink_;
  virtio::Console* console_ = nullptr;
  std::vector<std::unique_ptr<virtio::MmioTransport>> transports_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Machine machine;
  while (!input.empty()) machine.operate(input);
  return 0;
}
