// The canonical form of what a PC's interrupt controllers and timer keep: the I/O APIC (82093AA
// data sheet), the pair of 8259As and the 8254. Plain values, of no backend's own, so that a
// machine can move between the board's chips and KVM's. The chips of platform/ keep their registers
// in these.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace husk::contract::x86 {

constexpr size_t kIoApicPins = 24;

struct IoApicState {
  static constexpr uint64_t kMasked = 1u << 16, kLevel = 1u << 15, kRemoteIrr = 1u << 14;

  uint32_t select = 0;
  uint32_t id = 0;     // as its register has it: in bits 24 to 27
  uint32_t lines = 0;  // those that are asserted
  std::array<uint64_t, kIoApicPins> entries = masked();

  bool operator==(const IoApicState&) const = default;

 private:
  static constexpr std::array<uint64_t, kIoApicPins> masked() {
    std::array<uint64_t, kIoApicPins> all{};
    all.fill(kMasked);
    return all;
  }
};

// One 8259A of the pair.
struct PicState {
  uint8_t lines = 0, requested = 0, in_service = 0, mask = 0xff;
  uint8_t level = 0;      // inputs that are level-triggered
  uint8_t base = 0;       // the vector of input 0
  uint8_t init_step = 0;  // the next ICW, 2 to 4; 0 when initialised
  uint8_t lowest = 7;     // the input of lowest priority
  bool needs_icw4 = false, auto_eoi = false, rotate_on_auto_eoi = false, read_in_service = false,
       poll = false, special_mask = false;

  bool operator==(const PicState&) const = default;
};

// Inputs that are edge-triggered whatever is written: IRQ 0, 1, 2, 8 and 13.
constexpr std::array<uint8_t, 2> kPicAlwaysEdge{0x07, 0x21};

// One counter of the 8254. Counts are in ticks, also those that the guest reads as BCD.
struct PitCounterState {
  static constexpr uint64_t kLongestNs = uint64_t{1} << 62;  // some 146 years

  uint64_t ns_since_load = 0;    // when it is held: until then
  uint32_t reload = 0x10000;     // what it counts from
  uint32_t triggered = 0x10000;  // modes 1 and 5: what it will count from after the gate's edge
  uint16_t latch = 0;
  uint8_t mode = 3, access = 3, status = 0;
  uint8_t low_byte = 0;     // of a count of which the guest has written half
  bool programmed = false;  // a command has chosen its mode
  bool counting = false, null_count = true, bcd = false;
  bool held = false;   // by its gate
  bool armed = false;  // waits for the gate's edge
  bool latched = false, status_latched = false, high_next_read = false, high_next_write = false;

  bool operator==(const PitCounterState&) const = default;

  [[nodiscard]] bool periodic() const { return mode == 2 || mode == 3; }
  [[nodiscard]] bool by_edge() const { return mode == 1 || mode == 5; }
};

struct PitState {
  static constexpr uint8_t kGate = 1, kSpeaker = 2;

  std::array<PitCounterState, 3> counters;
  bool interrupt_due = false;  // counter 0 has one to raise yet
  // Port 0x61's bits that are kept: counter 2's gate, which the others have not, the speaker, and
  // the two that mask error checks.
  uint8_t control = 0;

  bool operator==(const PitState&) const = default;
};

struct IrqchipState {
  std::array<PicState, 2> pics;
  IoApicState ioapic;
  PitState pit;

  bool operator==(const IrqchipState&) const = default;
};

}  // namespace husk::contract::x86
