#include "contract/x86/irqchip_codec.h"

#include <algorithm>
#include <concepts>

#include "base/try.h"

namespace husk::contract::x86 {
namespace {

constexpr uint32_t kVersion = 2;  // 1 was a layout without the 8254
constexpr uint32_t kLargestCount = 0x10000;

template <class Pic, class Visit>
void visit_pic(Pic& pic, Visit& visit) {
  for (auto* value : {&pic.lines, &pic.requested, &pic.in_service, &pic.mask, &pic.level, &pic.base,
                      &pic.init_step, &pic.lowest})
    visit(*value);
  for (auto* flag : {&pic.needs_icw4, &pic.auto_eoi, &pic.rotate_on_auto_eoi, &pic.read_in_service,
                     &pic.poll, &pic.special_mask})
    visit(*flag);
}

template <class Counter, class Visit>
void visit_counter(Counter& counter, Visit& visit) {
  visit(counter.ns_since_load);
  visit(counter.reload);
  visit(counter.triggered);
  visit(counter.latch);
  for (auto* value : {&counter.mode, &counter.access, &counter.status, &counter.low_byte})
    visit(*value);
  for (auto* flag : {&counter.programmed, &counter.counting, &counter.null_count, &counter.bcd,
                     &counter.held, &counter.armed, &counter.latched, &counter.status_latched,
                     &counter.high_next_read, &counter.high_next_write})
    visit(*flag);
}

template <class State, class Visit>
void visit_fields(State& state, Visit&& visit) {
  for (auto& pic : state.pics) visit_pic(pic, visit);
  visit(state.ioapic.select);
  visit(state.ioapic.id);
  visit(state.ioapic.lines);
  for (auto& entry : state.ioapic.entries) visit(entry);
  for (auto& counter : state.pit.counters) visit_counter(counter, visit);
  visit(state.pit.interrupt_due);
  visit(state.pit.control);
}

// Bytes that have been read; what is beyond their end, and a truth value that is neither, make it
// bad for good.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <std::integral T>
  void operator()(T& value) {
    uint64_t raw = 0;
    for (size_t i = 0; i < sizeof(T); ++i) raw |= uint64_t{next()} << 8 * i;
    if (std::same_as<T, bool> && raw > 1) bad_ = true;
    value = static_cast<T>(raw);
  }
  [[nodiscard]] bool good() const { return !bad_; }
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }

 private:
  uint8_t next() {
    if (bytes_.empty()) {
      bad_ = true;
      return 0;
    }
    const auto byte = std::to_integer<uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return byte;
  }

  std::span<const std::byte> bytes_;
  bool bad_ = false;
};

bool possible(const PicState& pic, uint8_t always_edge) {
  return pic.lowest < 8 && (pic.base & 7) == 0 && (pic.level & always_edge) == 0 &&
         (pic.init_step == 0 || (pic.init_step >= 2 && pic.init_step <= 4));
}

bool possible(const IoApicState& ioapic) {
  constexpr uint64_t kReserved = 0xfffe0000;  // of an entry
  return ioapic.select <= 0xff && (ioapic.id & ~0x0f000000u) == 0 &&
         ioapic.lines >> kIoApicPins == 0 &&
         std::ranges::all_of(ioapic.entries, [](uint64_t e) { return (e & kReserved) == 0; });
}

bool possible(const PitCounterState& counter) {
  const auto count = [](uint32_t value) { return value >= 1 && value <= kLargestCount; };
  return counter.mode <= 5 && counter.access >= 1 && counter.access <= 3 && count(counter.reload) &&
         count(counter.triggered) && counter.ns_since_load <= PitCounterState::kLongestNs;
}

// Only what counts can be held, by a closed gate, which only counter 2 has. A timer that interrupts
// while it stands would do so for ever.
bool possible(const PitState& pit) {
  const PitCounterState& timer = pit.counters[0];
  const PitCounterState& gated = pit.counters[2];
  const bool closed = (pit.control & PitState::kGate) == 0;
  return (pit.control & 0xf0) == 0 && !timer.held && !pit.counters[1].held &&
         (!gated.held || (closed && gated.counting && !gated.by_edge())) &&
         (!pit.interrupt_due || timer.counting) &&
         std::ranges::all_of(pit.counters, [](const auto& c) { return possible(c); });
}

}  // namespace

std::vector<std::byte> write_irqchip_state(const IrqchipState& state) {
  std::vector<std::byte> out;
  const auto put = [&out]<class T>(T value) {
    for (size_t i = 0; i < sizeof(T); ++i)
      out.push_back(static_cast<std::byte>(static_cast<uint64_t>(value) >> 8 * i));
  };
  put(kVersion);
  visit_fields(state, put);
  return out;
}

Result<IrqchipState> read_irqchip_state(std::span<const std::byte> bytes) {
  const auto corrupt = [](const char* why) {
    return fail(ErrorKind::kCorrupt, "interrupt controller state", why);
  };
  Reader reader(bytes);
  uint32_t version = 0;
  reader(version);
  if (!reader.good() || version != kVersion) return corrupt("has an unknown version");
  IrqchipState state;
  visit_fields(state, reader);
  if (!reader.good() || !reader.at_end()) return corrupt("has the wrong size or is no such state");
  for (size_t i = 0; i < state.pics.size(); ++i)
    if (!possible(state.pics[i], kPicAlwaysEdge[i])) return corrupt("has an impossible 8259");
  if (!possible(state.ioapic)) return corrupt("has an impossible I/O APIC");
  if (!possible(state.pit)) return corrupt("has an impossible 8254");
  return state;
}

}  // namespace husk::contract::x86
