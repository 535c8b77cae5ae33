#include "platform/pic8259.h"

namespace husk::platform {
namespace {

constexpr uint8_t kCascade = 2;

}  // namespace

int Pic8259::Chip::pending() const {
  if (init_step != 0) return -1;
  const uint8_t wanted = requested & ~mask;
  for (int i = 1; i <= 8; ++i) {
    const int input = (lowest + i) & 7;
    if ((in_service >> input & 1) != 0 && !special_mask)
      return -1;  // busy with something as important
    if ((wanted >> input & 1) != 0 && (in_service >> input & 1) == 0) return input;
  }
  return -1;
}

void Pic8259::Chip::take(int input) {
  const auto bit = static_cast<uint8_t>(1u << input);
  if ((level & bit) == 0) requested &= static_cast<uint8_t>(~bit);
  if (!auto_eoi) {
    in_service |= bit;
  } else if (rotate_on_auto_eoi) {
    lowest = static_cast<uint8_t>(input);
  }
}

// In special mask mode the masked inputs in service have been set aside.
int Pic8259::Chip::served() const {
  const uint8_t candidates = special_mask ? in_service & ~mask : in_service;
  for (int i = 1; i <= 8; ++i) {
    const int input = (lowest + i) & 7;
    if ((candidates >> input & 1) != 0) return input;
  }
  return -1;
}

// OCW2: the end-of-interrupt and rotation commands.
void Pic8259::Chip::end_of_interrupt(uint8_t value) {
  constexpr uint8_t kEndBit = 1, kSpecificBit = 2, kRotateBit = 4;
  const uint8_t kind = value >> 5;
  const bool specific = (kind & kSpecificBit) != 0, rotate = (kind & kRotateBit) != 0;
  if ((kind & kEndBit) == 0) {
    if (!specific) rotate_on_auto_eoi = rotate;
    if (specific && rotate) lowest = value & 7;
    return;
  }
  const int input = specific ? value & 7 : served();
  if (input < 0) return;
  in_service &= static_cast<uint8_t>(~(1u << input));
  if (rotate) lowest = static_cast<uint8_t>(input);
}

// ICW1. What edges had asked for is forgotten.
void Pic8259::Chip::initialise(uint8_t value) {
  const uint8_t kept_lines = lines;
  const uint8_t kept_level = level;
  *this = Chip{};
  lines = kept_lines;
  level = kept_level;
  requested = lines & level;
  mask = 0;
  init_step = 2;
  needs_icw4 = (value & 1) != 0;
}

// A changed input forgets its edge, or asks at once when its line is up.
void Pic8259::Chip::select_levels(uint8_t inputs) {
  const uint8_t changed = level ^ inputs;
  level = inputs;
  requested = static_cast<uint8_t>((requested & ~changed) | (lines & level & changed));
}

void Pic8259::Chip::command(uint8_t value) {
  if ((value & 0x10) != 0) return initialise(value);
  if ((value & 0x18) == 0) return end_of_interrupt(value);
  if ((value & 4) != 0) poll = true;  // OCW3
  if ((value & 2) != 0) read_in_service = (value & 1) != 0;
  if ((value & 0x40) != 0) special_mask = (value & 0x20) != 0;
}

void Pic8259::Chip::data(uint8_t value) {
  switch (init_step) {
    case 2:
      base = value & 0xf8;
      init_step = 3;
      return;
    case 3:
      init_step = needs_icw4 ? 4 : 0;
      return;
    case 4:
      auto_eoi = (value & 2) != 0;
      init_step = 0;
      return;
    default:
      mask = value;
      return;
  }
}

void Pic8259::update() {
  Chip& master = chips_[0];
  const bool slave_asks = chips_[1].pending() >= 0;
  if (slave_asks) {
    master.requested |= 1u << kCascade;
  } else {
    master.requested &= static_cast<uint8_t>(~(1u << kCascade));
  }
  sink_.set_extint(master.pending() >= 0);
}

Pic8259::State Pic8259::capture() const {
  const std::lock_guard lock(mutex_);
  return {chips_[0], chips_[1]};
}

void Pic8259::restore(const State& state) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < chips_.size(); ++i) chips_[i] = Chip{state[i]};
  update();
}

void Pic8259::set_line(uint32_t irq, bool level) {
  if (irq >= 16 || irq == kCascade) return;
  const std::lock_guard lock(mutex_);
  Chip& chip = chips_[irq / 8];
  const auto bit = static_cast<uint8_t>(1u << irq % 8);
  const bool was = (chip.lines & bit) != 0;
  chip.lines = static_cast<uint8_t>(level ? chip.lines | bit : chip.lines & ~bit);
  if (level && (!was || (chip.level & bit) != 0)) chip.requested |= bit;
  if (!level && (chip.level & bit) != 0) chip.requested &= static_cast<uint8_t>(~bit);
  update();
}

uint8_t Pic8259::acknowledge() {
  const std::lock_guard lock(mutex_);
  Chip& master = chips_[0];
  Chip& slave = chips_[1];
  const int input = master.pending();
  uint8_t vector = master.base + 7;  // spurious
  if (input >= 0) {
    master.take(input);
    vector = static_cast<uint8_t>(master.base + input);
    if (input == kCascade) {
      const int inner = slave.pending();
      vector = static_cast<uint8_t>(slave.base + (inner < 0 ? 7 : inner));
      if (inner >= 0) slave.take(inner);
    }
  }
  update();
  return vector;
}

uint8_t Pic8259::read_chip(size_t index, uint64_t offset) {
  const std::lock_guard lock(mutex_);
  Chip& chip = chips_[index];
  if (chip.poll) {
    chip.poll = false;
    const int input = chip.pending();
    if (input < 0) return 0;
    chip.take(input);
    update();
    return static_cast<uint8_t>(0x80 | input);
  }
  if (offset == 1) return chip.mask;
  return chip.read_in_service ? chip.in_service : chip.requested;
}

void Pic8259::write_chip(size_t index, uint64_t offset, uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    chips_[index].command(value);
  } else {
    chips_[index].data(value);
  }
  update();
}

uint8_t Pic8259::ElcrPort::read_byte(uint64_t offset) {
  const std::lock_guard lock(pic_.mutex_);
  return pic_.chips_[offset].level;
}

void Pic8259::ElcrPort::write_byte(uint64_t offset, uint8_t value) {
  const std::lock_guard lock(pic_.mutex_);
  pic_.chips_[offset].select_levels(value &
                                    static_cast<uint8_t>(~contract::x86::kPicAlwaysEdge[offset]));
  pic_.update();
}

}  // namespace husk::platform
