// A hostile driver before every virtio device: registers, rings, descriptors and requests as the
// fuzzer likes them, with shortcuts to well-formed ones so that it gets behind the front door; and
// a host that types, resizes and has a failing disk. What must hold after every step:
//  - a disk is used within its whole sectors only, and a read-only one is never written;
//  - the interrupt line says what InterruptStatus says;
//  - NEEDS_RESET comes with a configuration interrupt, goes by a reset only, and a device that has
//    it leaves memory alone;
//  - a rule that is broken for sure (break_rules) sets it, and after a reset the device serves;
//  - what waits for a guest that does not read is bounded.
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "input.h"
#include "virtio/block.h"
#include "virtio/console.h"
#include "virtio/mmio_transport.h"
#include "virtio/rng.h"

// Entropy that is the same in every run, so that a found crash is found again.
extern "C" ssize_t getrandom(void* buffer, size_t size, unsigned) {
  std::fill_n(static_cast<unsigned char*>(buffer), size, 0xa5);
  return static_cast<ssize_t>(size);
}

namespace {

using namespace husk;  // NOLINT(google-build-using-namespace)
using fuzz::Input;
using fuzz::require;

constexpr uint64_t kRam = 0x10000, kRingSpace = 0x1000, kBuffers = 0xa000;
constexpr uint16_t kQueueSize = 8;
constexpr uint32_t kQueues = 6;  // of the console, which has the most
enum Register : uint64_t {
  kDeviceFeatures = 0x10,
  kDeviceFeaturesSelect = 0x14,
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
constexpr uint32_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kNeedsReset = 64;
constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
};
struct BlockHeader {
  uint32_t type, reserved;
  uint64_t sector;
};
struct EraseRange {
  uint64_t sector;
  uint32_t count, flags;
};

// 32 sectors and a piece of one, which is not the guest's.
class MemoryStore : public contract::BlockStore {
 public:
  MemoryStore(bool read_only, const bool& fails) : read_only_(read_only), fails_(fails) {}
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  Result<void> read(uint64_t offset, std::span<std::byte> out) override {
    check(offset, out.size());
    if (!fails_)
      std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return outcome();
  }
  Result<void> write(uint64_t offset, std::span<const std::byte> in) override {
    require(!read_only_);
    check(offset, in.size());
    if (!fails_) std::ranges::copy(in, bytes_.begin() + static_cast<ptrdiff_t>(offset));
    return outcome();
  }
  Result<void> flush() override { return outcome(); }
  Result<void> discard(uint64_t offset, uint64_t length) override {
    require(!read_only_);
    check(offset, length);
    return outcome();
  }
  Result<void> write_zeroes(uint64_t offset, uint64_t length, bool) override {
    return discard(offset, length);
  }

 private:
  static constexpr uint64_t kSectors = 32 * 512;
  static void check(uint64_t offset, uint64_t length) {
    require(offset <= kSectors && length <= kSectors - offset);
  }
  [[nodiscard]] Result<void> outcome() const {
    if (fails_) return fail(ErrorKind::kIo, "disk", "broken");
    return {};
  }
  std::array<std::byte, kSectors + 100> bytes_{};
  bool read_only_;
  const bool& fails_;
};

class BoundedSink : public contract::ByteSink {
 public:
  void write(std::span<const std::byte> data) override { require(data.size() <= kRam); }
};

// A device and its transport, whose every access is followed by a look at what must hold.
class Slot {
 public:
  Slot(std::unique_ptr<virtio::Device> device, memory::GuestMemory& memory)
      : transport_(std::move(device), memory,
                   contract::IrqLine([](void* self, uint32_t,
                                        bool level) { static_cast<Slot*>(self)->line_ = level; },
                                     this, 0)) {}

  uint64_t read(uint64_t offset, uint32_t size) { return transport_.read(offset, size); }
  void write(uint64_t offset, uint32_t size, uint64_t value) {
    const bool resets = offset == kStatus && size == 4 && static_cast<uint32_t>(value) == 0;
    transport_.write(offset, size, value);
    if (resets) was_broken_ = false;
    look();
  }
  void set(uint64_t offset, uint64_t value) { write(offset, 4, value); }
  [[nodiscard]] uint32_t get(uint64_t offset) {
    return static_cast<uint32_t>(transport_.read(offset, 4));
  }
  [[nodiscard]] bool broken() { return (get(kStatus) & kNeedsReset) != 0; }
  void look() {
    const uint32_t causes = get(kInterruptStatus);
    require(line_ == (causes != 0) && (causes & ~3u) == 0);
    const bool is_broken = broken();
    require(is_broken || !was_broken_);
    if (is_broken && !was_broken_) require((get(kStatus) & kDriverOk) == 0 || (causes & 2) != 0);
    was_broken_ = is_broken;
  }
  void reset() {
    set(kStatus, 0);
    require(get(kStatus) == 0 && get(kInterruptStatus) == 0 && !line_);
  }

 private:
  bool line_ = false, was_broken_ = false;
  virtio::MmioTransport transport_;
};

class Machine {
 public:
  explicit Machine(bool read_only) {
    add(std::make_unique<virtio::Block>(std::make_unique<MemoryStore>(read_only, disk_fails_),
                                        "disk"));
    add(std::make_unique<virtio::Rng>());
    using Ports = std::vector<virtio::Console::PortSpec>;
    auto console = std::make_unique<virtio::Console>(
        Ports{{"console", true, &sink_}, {"agent", false, &sink_}});
    console_ = console.get();
    for (size_t port = 0; port < 2; ++port) console_->set_on_room(port, [] {});
    add(std::move(console));
  }

  void operate(Input& input) {
    const auto what = input.take<uint8_t>();
    const size_t device = kDeviceOf[what >> 6];
    Slot& slot = *slots_[device];
    switch (what % 16) {
      case 0:
        return (void)slot.read(input.take<uint16_t>() % 0x200, input.take_width());
      case 1:  // as no driver would
        return access(slot, input.take<uint16_t>() % 0x200, input.take_width(),
                      input.take<uint64_t>());
      case 2:
      case 3:
        return access(slot, input.take<uint8_t>() % 0x48 * 4, 4, input.take<uint32_t>());
      case 4:
        return bring_up(slot, input.take<uint32_t>());
      case 5:
      case 6:
      case 7:
      case 8:
        return make_available(device, input);
      case 9:
        return poke(input);
      case 10:
        return type(input);
      case 11:
        return resize(input);
      case 12:
        return ring_or_acknowledge(slot, input.take<uint8_t>());
      case 13:
        return break_rules(device, input.take<uint8_t>());
      case 14:
        disk_fails_ = !disk_fails_;
        return;
      default:
        return slot.reset();
    }
  }

  // A console that nobody reads takes so much and no more; a reset makes room again.
  void check_bounds() {
    slots_[kConsole]->reset();
    bring_up(*slots_[kConsole], ~0u);
    const std::vector<std::byte> much(2 * virtio::Console::kInputLimit);
    (void)console_->input(0).push(much);
    require(console_->input(0).push(much) == 0);
    slots_[kConsole]->look();
  }

 private:
  static constexpr size_t kDisk = 0, kEntropy = 1, kConsole = 2;
  static constexpr size_t kDeviceOf[4] = {kDisk, kEntropy, kConsole, kDisk};

  void add(std::unique_ptr<virtio::Device> device) {
    slots_.push_back(std::make_unique<Slot>(std::move(device), *memory_));
  }

  static uint64_t ring(uint32_t queue) { return queue % 8 * kRingSpace; }

  // A device that needs a reset reads and writes nothing: memory is as it was.
  template <class Step>
  void step(Slot& slot, Step&& run) {
    if (!slot.broken()) return run();
    const auto ram = *memory_->host_span(Gpa{0}, kRam);
    const std::vector<std::byte> before(ram.begin(), ram.end());
    run();
    require(std::memcmp(before.data(), ram.data(), ram.size()) == 0);
  }

  void access(Slot& slot, uint64_t offset, uint32_t size, uint64_t value) {
    step(slot, [&] { slot.write(offset, size, value); });
  }

  void ring_or_acknowledge(Slot& slot, uint8_t what) {
    if ((what & 8) != 0) return access(slot, kInterruptAck, 4, what & 3);
    access(slot, kQueueNotify, 4, what & 7);
  }

  // What a good driver does, but for the features, which are the caller's.
  static void bring_up(Slot& slot, uint32_t features) {
    slot.reset();
    slot.set(kStatus, kAcknowledge | kDriver);
    slot.set(kDeviceFeaturesSelect, 0);
    slot.set(kDriverFeaturesSelect, 0);
    slot.set(kDriverFeatures, features & slot.get(kDeviceFeatures));
    slot.set(kDriverFeaturesSelect, 1);
    slot.set(kDriverFeatures, 1);
    slot.set(kStatus, kAcknowledge | kDriver | kFeaturesOk);
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      slot.set(kQueueSelect, queue);
      slot.set(kQueueNum, kQueueSize);
      slot.set(kQueueDescriptors, ring(queue));
      slot.set(kQueueDriver, ring(queue) + 0x100);
      slot.set(kQueueDevice, ring(queue) + 0x200);
      slot.set(kQueueReady, 1);
    }
    slot.set(kStatus, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
    require(slot.get(kStatus) == (kAcknowledge | kDriver | kFeaturesOk | kDriverOk));
  }

  // A chain of the fuzzer's shape whose first buffer begins with a block request's or a control
  // message's header; then the doorbell.
  void make_available(size_t device, Input& input) {
    const auto shape = input.take<uint8_t>();
    const uint32_t queue = shape & 7, count = 1 + (shape >> 3) % 7;
    bool erases = false;
    if (device == kConsole) {
      write_control(input);
    } else {
      erases = write_block_header(input, (shape & 0x80) != 0);
    }
    for (uint32_t i = 0; i < count; ++i) describe(queue, i, i + 1 == count, erases, input);
    const uint64_t available = ring(queue) + 0x100;
    const auto index = memory_->load<uint16_t>(Gpa{available + 2}).value_or(0);
    offer(queue, index, 0);
    if ((shape & 0x40) == 0) access(*slots_[device], kQueueNotify, 4, queue);
  }

  void write_control(Input& input) {
    const auto what = input.take<uint8_t>();
    const struct {
      uint32_t port;
      uint16_t event, value;
    } message = {static_cast<uint32_t>(what >> 6), static_cast<uint16_t>(what & 15),
                 static_cast<uint16_t>((what >> 4 & 3) == 3 ? 0 : 1)};
    (void)memory_->store(Gpa{kBuffers}, message);
  }

  // Whether it asks to erase: the range behind it is then 16 bytes long.
  bool write_block_header(Input& input, bool far) {
    BlockHeader header = {input.take<uint8_t>() % 16u, 0, input.take<uint8_t>() % 40u};
    if (far) header.sector = input.take<uint64_t>();
    (void)memory_->store(Gpa{kBuffers}, header);
    // A range to erase, where the header asks for that.
    const EraseRange range = {input.take<uint8_t>() % 40u, input.take<uint8_t>() % 40u, 0};
    (void)memory_->store(Gpa{kBuffers + 0x400}, range);
    return header.type == 11 || header.type == 13;
  }

  // Lengths that requests are made of, the last buffer as a request's status; or, three
  // kinds in eight, something else.
  void describe(uint32_t queue, uint32_t i, bool last, bool erases, Input& input) {
    static constexpr uint32_t kLengths[8] = {512, 1, 1024, 513, 16, 0, 100, 412};
    const auto kind = input.take<uint8_t>();
    Descriptor descriptor = {kBuffers + i * 0x400, kLengths[kind >> 2 & 7], 0,
                             static_cast<uint16_t>(i + 1)};
    if (i == 0 || (i == 1 && erases)) descriptor.length = 16;
    if ((kind & 2) != 0) descriptor.flags = kWrite;
    if (last && i != 0 && (kind & 1) == 0) {
      descriptor.length = 1;
      descriptor.flags = kWrite;
    }
    if (!last) descriptor.flags |= kNext;
    switch (kind >> 5) {
      case 5:
        descriptor.flags ^= kIndirect;
        break;
      case 6:
        descriptor.length = input.take<uint32_t>();
        break;
      case 7:
        descriptor.address = input.take<uint64_t>();
        break;
      default:
        break;
    }
    (void)memory_->store(Gpa{ring(queue) + i * 16}, descriptor);
  }

  void offer(uint32_t queue, uint16_t index, uint16_t head) {
    const uint64_t available = ring(queue) + 0x100;
    (void)memory_->store(Gpa{available + 4 + index % kQueueSize * 2u}, head);
    (void)memory_->store(Gpa{available + 2}, static_cast<uint16_t>(index + 1));
  }

  // Whatever came before: a fresh driver that breaks a rule is told so, and the next is served.
  void break_rules(size_t device, uint8_t how) {
    const uint32_t queue = device == kConsole ? 1 : 0;  // which the device looks at when told
    Slot& slot = *slots_[device];
    start_afresh(slot, queue);
    if (device == kConsole) offer_room_for_input();
    Descriptor first = {kBuffers, 16, 0, 0};
    uint16_t index = 0, head = 0;
    switch (how % 7) {
      case 0:
        first.address = kRam - 15;
        break;
      case 1:
        first.address = ~uint64_t{7};
        break;
      case 2:
        first.flags = kNext;  // to itself
        break;
      case 3:
        first = {kBuffers, 16, kNext, kQueueSize};
        break;
      case 4:
        first = {kBuffers, 15, kIndirect, 0};
        break;
      case 5:
        head = kQueueSize;
        break;
      default:
        index = kQueueSize;  // more than there can be
        break;
    }
    (void)memory_->store(Gpa{ring(queue)}, first);
    offer(queue, index, head);
    slot.set(kQueueNotify, queue);
    require(slot.broken() && (slot.get(kInterruptStatus) & 2) != 0);
    if (device == kConsole) push(0, std::array<std::byte, 1>{});

    start_afresh(slot, queue);
    (void)memory_->store(Gpa{kBuffers}, BlockHeader{8, 0, 0});
    (void)memory_->store(Gpa{ring(queue)}, Descriptor{kBuffers, 16, kNext, 1});
    (void)memory_->store(Gpa{ring(queue) + 16}, Descriptor{kBuffers + 0x400, 64, kWrite, 0});
    offer(queue, 0, 0);
    slot.set(kQueueNotify, queue);
    require(!slot.broken() && slot.get(kInterruptStatus) == 1);
    require(*memory_->load<uint16_t>(Gpa{ring(queue) + 0x202}) == 1);
  }

  void start_afresh(Slot& slot, uint32_t queue) {
    (void)memory_->write(Gpa{ring(queue)}, std::array<std::byte, 0x400>{});
    bring_up(slot, kPlain);
  }
  // Neither event indices nor MULTIPORT, so that the console's port is open.
  static constexpr uint32_t kPlain = ~(1u << 29 | 1u << 1);

  void offer_room_for_input() {
    (void)memory_->store(Gpa{ring(0)}, Descriptor{kBuffers + 0x400, 64, kWrite, 0});
    offer(0, 0, 0);
  }

  void poke(Input& input) {
    const auto address = input.take<uint16_t>();
    (void)memory_->write(Gpa{address}, input.take_bytes(input.take<uint8_t>() & 63));
  }

  // A few bytes as they are, or so many that a port fills up.
  void type(Input& input) {
    const auto what = input.take<uint8_t>();
    const auto few = input.take_bytes(what & 0x3f);
    const std::vector<std::byte> many((what & 0x40) != 0 ? virtio::Console::kInputLimit : 0);
    push(what >> 7, few);
    push(what >> 7, many);
  }

  void push(size_t port, std::span<const std::byte> bytes) {
    Slot& slot = *slots_[kConsole];
    step(slot, [&] {
      require(console_->input(port).push(bytes) <= bytes.size());
      slot.look();
    });
  }

  void resize(Input& input) {
    const auto rows = input.take<uint8_t>(), columns = input.take<uint8_t>();
    Slot& slot = *slots_[kConsole];
    step(slot, [&] {
      console_->resize(rows % 2, rows, columns);
      slot.look();
    });
  }

  // One for all inputs, since to make it costs more than most of them do.
  static memory::GuestMemory* clean_memory() {
    static constexpr memory::RegionSpec kRegions[] = {{Gpa{0}, kRam}};
    static const auto memory = std::move(*memory::GuestMemory::create(kRegions));
    std::memset(memory->find(Gpa{0}, kRam), 0, kRam);
    return memory.get();
  }

  memory::GuestMemory* memory_ = clean_memory();
  BoundedSink sink_;
  bool disk_fails_ = false;
  virtio::Console* console_ = nullptr;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  // One disk of either kind rather than both: the code is the same, so that nothing would lead the
  // fuzzer to do to the second what it found out about the first.
  Machine machine(input.take<uint8_t>() % 2 != 0);
  while (!input.empty()) machine.operate(input);
  if (size % 8 == 0) machine.check_bounds();  // it costs more than the rest
  return 0;
}
