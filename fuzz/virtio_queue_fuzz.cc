// A guest's rings and descriptors as the fuzzer likes them, by a stream of operations: the queue
// must answer each with a chain within RAM or an error, say in the used ring what it was told and
// touch nothing else. Operations rather than an image of the memory, because an empty ring is all
// that short inputs would ever make of the latter.
#include <algorithm>
#include <array>

#include "input.h"
#include "virtio/queue.h"

namespace {

using namespace husk;  // NOLINT(google-build-using-namespace)
using fuzz::Input;
using fuzz::require;

constexpr uint64_t kRam = 0x8000, kDescriptors = 0, kAvailable = 0x1000, kUsed = 0x2000,
                   kTables = 0x3000, kBuffers = 0x4000;
constexpr uint64_t kMostOfAChain = 256 + 1024;  // a ring's descriptors and one indirect table's

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
};

memory::GuestMemory& clean_memory() {
  static constexpr memory::RegionSpec kRegions[] = {{Gpa{0}, kRam}};
  static const auto memory = std::move(*memory::GuestMemory::create(kRegions));
  std::ranges::fill(*memory->host_span(Gpa{0}, kRam), std::byte{0});
  return *memory;
}

class Guest {
 public:
  explicit Guest(Input& input) : input_(input), config_(choose()) {
    if (auto made = virtio::Queue::create(memory_, config_)) queue_ = *made;
  }

  void play() {
    while (queue_.ready() && !input_.empty()) operate();
  }

 private:
  // Three times in four where this file puts them, else wherever.
  virtio::QueueConfig choose() {
    const auto flags = input_.take<uint8_t>();
    virtio::QueueConfig config{static_cast<uint16_t>(1u << (flags & 3)),
                               Gpa{kDescriptors},
                               Gpa{kAvailable},
                               Gpa{kUsed},
                               (flags & 0x10) != 0,
                               (flags & 0x20) != 0};
    own_layout_ = (flags & 0xc0) != 0xc0;
    if (own_layout_) return config;
    config.size = input_.take<uint16_t>();
    config.descriptors = Gpa{input_.take<uint64_t>()};
    config.driver = Gpa{input_.take<uint64_t>()};
    config.device = Gpa{input_.take<uint64_t>()};
    return config;
  }

  void operate() {
    const auto what = input_.take<uint8_t>();
    const auto detail = static_cast<uint8_t>(what >> 3);
    switch (what & 7) {
      case 0:
        return describe(config_.descriptors + detail % config_.size * 16u, config_.size);
      case 1:
        return describe(Gpa{kTables + detail * 16u}, 8);
      case 2:
        return make_available(detail);
      case 3:
        return serve(detail);
      case 4:
        (void)queue_.needs_interrupt();
        return;
      case 5:
        (void)queue_.arm_notification();
        return;
      case 6:  // how many there are, as a liar has it
        return (void)memory_.store(config_.driver + 2, input_.take<uint16_t>());
      default:
        return (void)memory_.write(Gpa{input_.take<uint16_t>()}, input_.take_bytes(detail));
    }
  }

  // Into RAM, to a neighbour, as a good driver would; or, by the kind, not quite.
  void describe(Gpa at, uint32_t neighbours) {
    const auto kind = input_.take<uint8_t>(), size = input_.take<uint8_t>();
    Descriptor descriptor{kBuffers + size * 16u, size, static_cast<uint16_t>(kind & 3),
                          static_cast<uint16_t>((kind >> 4) % neighbours)};
    if ((kind & 4) != 0)
      descriptor = {kTables + size % 8 * 16u, size / 8 * 16u, static_cast<uint16_t>((kind & 3) | 4),
                    descriptor.next};
    if ((kind & 0xc) == 0x8) descriptor = input_.take<Descriptor>();
    (void)memory_.store(at, descriptor);
  }

  void make_available(uint16_t head) {
    const auto index = memory_.load<uint16_t>(config_.driver + 2).value_or(0);
    (void)memory_.store<uint16_t>(config_.driver + 4 + index % config_.size * 2u, head);
    (void)memory_.store<uint16_t>(config_.driver + 2, static_cast<uint16_t>(index + 1));
  }

  // As a device does: takes all there is, copies both ways, gives it back.
  void serve(uint32_t written) {
    for (uint32_t served = 0;; ++served) {
      // Nobody makes more available meanwhile, unless the used ring lies on the available one.
      require(!own_layout_ || served <= config_.size);
      const auto chain = queue_.pop();
      if (!chain || !*chain) return;
      check(**chain);
      exchange(**chain);
      require(queue_.push(**chain, written).has_value());
      if (own_layout_) check_used(**chain, written);
      if (!own_layout_ && served == config_.size) return;
    }
  }

  void check(const virtio::Chain& chain) {
    const std::byte* const ram = memory_.find(Gpa{0}, kRam);
    const auto inside = [&](const auto& part) {
      return !part.empty() && part.data() >= ram && part.data() + part.size() <= ram + kRam;
    };
    require(chain.head < config_.size);
    require(std::ranges::all_of(chain.readable, inside));
    require(std::ranges::all_of(chain.writable, inside));
    require(chain.readable.size() + chain.writable.size() <= kMostOfAChain);
  }

  // Only past the rings, so that what they say stays the guest's.
  void exchange(const virtio::Chain& chain) {
    std::array<std::byte, 300> bytes{};
    const auto readable = chain.readable_bytes(), writable = chain.writable_bytes();
    require(chain.read(0, bytes) == std::min<uint64_t>(readable, bytes.size()));
    require(chain.read(readable, bytes) == 0 && chain.write(writable, bytes) == 0);
    const std::byte* const rings = memory_.find(Gpa{kTables}, 0);
    const auto past = [&](const auto& part) { return part.data() >= rings; };
    if (!std::ranges::all_of(chain.writable, past)) return;
    const auto at = writable / 2;
    require(chain.write(at, bytes) == std::min<uint64_t>(writable - at, bytes.size()));
  }

  void check_used(const virtio::Chain& chain, uint32_t written) {
    const auto at = kUsed + 4 + pushed_ % config_.size * 8u;
    require(*memory_.load<uint32_t>(Gpa{at}) == chain.head);
    require(*memory_.load<uint32_t>(Gpa{at + 4}) == written);
    require(*memory_.load<uint16_t>(Gpa{kUsed + 2}) == ++pushed_);
  }

  Input& input_;
  memory::GuestMemory& memory_ = clean_memory();
  bool own_layout_ = true;
  virtio::QueueConfig config_;
  virtio::Queue queue_;
  uint16_t pushed_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Guest(input).play();
  return 0;
}
