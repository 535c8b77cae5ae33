// What is left of a PC's odds and ends: the keyboard controller's reset line, fast A20, and the
// devices that test kernels for QEMU expect.
#pragma once

#include "contract/interrupt.h"
#include "contract/io_handler.h"
#include "contract/machine_event.h"

namespace husk::platform {

// An 8042 without keyboard or mouse: commands that reset the machine, and silence. One port at 0x60
// and one at 0x64.
class I8042 : public contract::IoHandler {
 public:
  I8042(contract::MachineEventSink& events, bool command_port)
      : events_(events), command_port_(command_port) {}
  [[nodiscard]] std::string_view name() const override { return "i8042"; }
  // Status: nothing to read, ready for a command. Data: nothing.
  uint64_t read(uint64_t, uint32_t) override { return command_port_ ? 0x14 : 0; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    constexpr uint64_t kPulseReset = 0xfe;
    if (command_port_ && (value & 0xff) == kPulseReset)
      events_.raise(contract::MachineEvent::kReset, 0);
  }

 private:
  contract::MachineEventSink& events_;
  bool command_port_;
};

// Port 0x92: A20 is always open; bit 0 resets.
class FastA20 : public contract::IoHandler {
 public:
  explicit FastA20(contract::MachineEventSink& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "fast-a20"; }
  uint64_t read(uint64_t, uint32_t) override { return 2; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    if ((value & 1) != 0) events_.raise(contract::MachineEvent::kReset, 0);
  }

 private:
  contract::MachineEventSink& events_;
};

// QEMU's isa-debug-exit: a write ends the machine with (value << 1) | 1 as the process's status.
class DebugExit : public contract::IoHandler {
 public:
  static constexpr uint16_t kPorts = 4;
  explicit DebugExit(contract::MachineEventSink& events) : events_(events) {}
  [[nodiscard]] std::string_view name() const override { return "debug-exit"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    events_.raise(contract::MachineEvent::kDebugExit, static_cast<uint32_t>(value));
  }

 private:
  contract::MachineEventSink& events_;
};

// QEMU's pc-testdev: a scratch register at port 0xe0, a page flush at 0xe4 that has nothing to
// flush here, and interrupt lines as ports from 0x2000.
class TestScratch : public contract::IoHandler {
 public:
  static constexpr uint16_t kBase = 0xe0, kPorts = 8;
  [[nodiscard]] std::string_view name() const override { return "test-scratch"; }
  uint64_t read(uint64_t offset, uint32_t size) override {
    return offset < 4 ? value_ >> offset * 8 & (size >= 4 ? 0xffffffffu : (1u << size * 8) - 1) : 0;
  }
  void write(uint64_t offset, uint32_t size, uint64_t value) override {
    if (offset >= 4) return;
    const uint64_t mask = (size >= 4 ? 0xffffffffu : (1u << size * 8) - 1) << offset * 8;
    value_ = static_cast<uint32_t>((value_ & ~mask) | (value << offset * 8 & mask));
  }

 private:
  uint32_t value_ = 0;
};

class TestIrqLines : public contract::IoHandler {
 public:
  static constexpr uint16_t kBase = 0x2000, kPorts = 24;
  explicit TestIrqLines(contract::InterruptController& controller) : controller_(controller) {}
  [[nodiscard]] std::string_view name() const override { return "test-irq-lines"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t offset, uint32_t, uint64_t value) override {
    controller_.set_line(static_cast<uint32_t>(offset), value != 0);
  }

 private:
  contract::InterruptController& controller_;
};

}  // namespace husk::platform
