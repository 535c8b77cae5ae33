#include "backend/kvm/x86_64/irqchip_convert.h"

#include <algorithm>

namespace husk::kvm {

using contract::x86::IoApicState;
using contract::x86::PicState;
using contract::x86::PitCounterState;
using contract::x86::PitState;

namespace {

constexpr uint64_t kIoApicBase = 0xfec00000;
constexpr uint64_t kEntryReserved = 0xfffe0000;

// Which byte of a count is next (Linux, arch/x86/kvm/i8254.h, RW_STATE_*); also the state of a
// latched count, of which 0 is none.
constexpr uint8_t kHighByte = 2, kBothFromLow = 3, kBothFromHigh = 4;
constexpr uint8_t kNoMode = 0xff;  // before the first command

uint8_t byte_state(uint8_t access, bool high) {
  if (access != kBothFromLow) return access;
  return high ? kBothFromHigh : kBothFromLow;
}

uint8_t latch_state(const PitCounterState& counter) {
  if (!counter.latched) return 0;
  return counter.access == kBothFromLow && counter.high_next_read ? kHighByte : counter.access;
}

kvm_pit_channel_state to_kvm(const PitCounterState& counter, bool gate, uint64_t now_ns) {
  kvm_pit_channel_state channel{};
  channel.count = counter.armed ? counter.triggered : counter.reload;
  channel.latched_count = counter.latch;
  channel.count_latched = latch_state(counter);
  channel.status_latched = counter.status_latched ? 1 : 0;
  channel.status = counter.status;
  channel.read_state = byte_state(counter.access, counter.high_next_read && !counter.latched);
  channel.write_state = byte_state(counter.access, counter.high_next_write);
  channel.write_latch = counter.low_byte;
  channel.rw_mode = counter.access;
  // A timer without a mode is the only one that KVM does not start.
  channel.mode = counter.programmed ? counter.mode : kNoMode;
  channel.bcd = counter.bcd ? 1 : 0;
  channel.gate = gate ? 1 : 0;
  channel.count_load_time = static_cast<int64_t>(now_ns - counter.ns_since_load);
  return channel;
}

// Whether it counts KVM does not tell either: once it has a mode, it does.
PitCounterState from_kvm(const kvm_pit_channel_state& channel) {
  PitCounterState counter;
  counter.reload = counter.triggered = std::clamp<uint32_t>(channel.count, 1, 0x10000);
  counter.latch = channel.latched_count;
  counter.access = std::clamp<uint8_t>(channel.rw_mode, 1, kBothFromLow);
  counter.status = channel.status;
  counter.low_byte = channel.write_latch;
  counter.bcd = channel.bcd != 0;
  counter.latched = channel.count_latched != 0;
  counter.status_latched = channel.status_latched != 0;
  counter.high_next_read =
      counter.latched ? counter.access == kBothFromLow && channel.count_latched == kHighByte
                      : channel.read_state == kBothFromHigh;
  counter.high_next_write = channel.write_state == kBothFromHigh;
  if (channel.mode > 5) {
    counter.access = kBothFromLow;
    return counter;
  }
  counter.mode = channel.mode;
  counter.programmed = counter.counting = true;
  counter.null_count = false;
  counter.armed = counter.by_edge();
  return counter;
}

}  // namespace

kvm_pic_state to_kvm(const PicState& pic, bool slave) {
  kvm_pic_state state{};
  state.last_irr = pic.lines;
  state.irr = pic.requested;
  state.imr = pic.mask;
  state.isr = pic.in_service;
  state.priority_add = (pic.lowest + 1) & 7;  // the input of highest priority
  state.irq_base = pic.base;
  state.read_reg_select = pic.read_in_service ? 1 : 0;
  state.poll = pic.poll ? 1 : 0;
  state.special_mask = pic.special_mask ? 1 : 0;
  state.init_state = pic.init_step == 0 ? 0 : pic.init_step - 1;  // ICW2 is its first
  state.auto_eoi = pic.auto_eoi ? 1 : 0;
  state.rotate_on_auto_eoi = pic.rotate_on_auto_eoi ? 1 : 0;
  state.init4 = pic.needs_icw4 ? 1 : 0;
  state.elcr = pic.level;
  state.elcr_mask = static_cast<uint8_t>(~contract::x86::kPicAlwaysEdge[slave ? 1 : 0]);
  return state;
}

PicState from_kvm(const kvm_pic_state& state, bool slave) {
  PicState pic;
  pic.lines = state.last_irr;
  pic.requested = state.irr;
  pic.mask = state.imr;
  pic.in_service = state.isr;
  pic.lowest = (state.priority_add + 7) & 7;
  pic.base = state.irq_base & 0xf8;
  pic.read_in_service = state.read_reg_select != 0;
  pic.poll = state.poll != 0;
  pic.special_mask = state.special_mask != 0;
  pic.init_step = state.init_state == 0 || state.init_state > 3 ? 0 : state.init_state + 1;
  pic.auto_eoi = state.auto_eoi != 0;
  pic.rotate_on_auto_eoi = state.rotate_on_auto_eoi != 0;
  pic.needs_icw4 = state.init4 != 0;
  pic.level = state.elcr & static_cast<uint8_t>(~contract::x86::kPicAlwaysEdge[slave ? 1 : 0]);
  return pic;
}

// KVM delivers what is set in `irr` as if it came now: the edge of a line that is up was delivered
// when it came, unless its entry is masked, and then nothing is.
kvm_ioapic_state to_kvm(const IoApicState& ioapic) {
  kvm_ioapic_state state{};
  state.base_address = kIoApicBase;
  state.ioregsel = ioapic.select;
  state.id = ioapic.id >> 24;
  for (size_t pin = 0; pin < ioapic.entries.size(); ++pin) {
    const uint64_t entry = ioapic.entries[pin];
    state.redirtbl[pin].bits = entry;
    if ((entry & (IoApicState::kLevel | IoApicState::kMasked)) != 0)
      state.irr |= ioapic.lines & 1u << pin;
  }
  return state;
}

IoApicState from_kvm(const kvm_ioapic_state& state) {
  IoApicState ioapic;
  ioapic.select = state.ioregsel & 0xff;
  ioapic.id = (state.id & 0x0f) << 24;
  ioapic.lines = state.irr & 0xffffff;
  for (size_t pin = 0; pin < ioapic.entries.size(); ++pin)
    ioapic.entries[pin] = state.redirtbl[pin].bits & ~kEntryReserved;
  return ioapic;
}

kvm_pit_state2 to_kvm(const PitState& pit, uint64_t now_ns) {
  kvm_pit_state2 state{};
  const bool gate = (pit.control & PitState::kGate) != 0;
  for (size_t i = 0; i < pit.counters.size(); ++i)
    state.channels[i] = to_kvm(pit.counters[i], i != 2 || gate, now_ns);
  if ((pit.control & PitState::kSpeaker) != 0) state.flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
  return state;
}

PitState from_kvm(const kvm_pit_state2& state, uint64_t now_ns) {
  PitState pit;
  const bool gate = state.channels[2].gate != 0;
  pit.control = (gate ? PitState::kGate : 0) |
                ((state.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON) != 0 ? PitState::kSpeaker : 0);
  for (size_t i = 0; i < pit.counters.size(); ++i) {
    PitCounterState& counter = pit.counters[i] = from_kvm(state.channels[i]);
    const uint64_t passed = now_ns - static_cast<uint64_t>(state.channels[i].count_load_time);
    if (i != 0 && counter.counting && passed <= now_ns) counter.ns_since_load = passed;
  }
  PitCounterState& gated = pit.counters[2];
  gated.held = !gate && gated.counting && !gated.by_edge();
  const PitCounterState& timer = pit.counters[0];
  pit.interrupt_due = timer.counting && !timer.by_edge();
  return pit;
}

}  // namespace husk::kvm
