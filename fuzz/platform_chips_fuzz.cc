// Every chip of the board on one pair of buses, as their board wires them, before a guest that
// reads and writes any port and address, with any width, in any order, while time passes and the
// far ends of the wires move. What a register yields must fit the access, the serial port must not
// take more than it has room for, a saved state must load, and no setting of a timer may make the
// host wake more often than the chips promise.
#include <iterator>
#include <span>

#include "input.h"
#include "platform/acpi_pm.h"
#include "platform/bus.h"
#include "platform/chipset.h"
#include "platform/cmos_rtc.h"
#include "platform/debug_exit.h"
#include "platform/fast_a20.h"
#include "platform/i8042.h"
#include "platform/pc_layout.h"
#include "platform/reset_port.h"
#include "platform/test_device.h"
#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"
#include "platform/uart16550.h"

namespace {

using namespace husk::platform;  // NOLINT(google-build-using-namespace): the board's parts
using husk::fuzz::Input;
using husk::fuzz::require;

class Fixture {
 public:
  Fixture() {
    require(chipset_.attach(ports_, mmio_).has_value());
    attach(ports_, kI8042Data, 1, keyboard_data_);
    attach(ports_, kI8042Command, 1, keyboard_command_);
    attach(ports_, kRtcPorts, 2, rtc_);
    attach(ports_, kFastA20, 1, fast_a20_);
    attach(ports_, kCom1, Uart16550::kPorts, uart_);
    attach(ports_, kPm1Event, AcpiPm::kPorts, power_);
    attach(ports_, kResetPort, 1, reset_);
    attach(ports_, kDebugExitPort, DebugExit::kPorts, debug_exit_);
    attach(ports_, TestScratch::kBase, TestScratch::kPorts, scratch_);
    attach(ports_, TestIrqLines::kBase, TestIrqLines::kPorts, lines_);
    uart_.set_on_room([this] { (void)uart_.push(std::as_bytes(std::span("more", 4))); });
  }

  void operate(Input& input) {
    switch (input.take<uint8_t>() % 8) {
      case 0:
      case 1:
        return access(ports_, port(input), input);
      case 2:
        return access(mmio_, IoApic::kBase + input.take<uint16_t>() % IoApic::kSize, input);
      case 3:
        return program_ioapic(input);
      case 4:
        return type(input);
      case 5:
        return move_line(input);
      case 6:
        return pass_time(input);
      default:
        return interrupt(input);
    }
  }

  void check() {
    for (const auto& message : sink_.take()) require(message.destination <= 0xff);
    // A guest that writes for ever makes the host keep nothing: only this recorder does.
    uart_text_.text.clear();
  }

 private:
  static void attach(Bus& bus, uint64_t base, uint64_t size, husk::contract::IoHandler& handler) {
    require(bus.attach(base, size, handler).has_value());
  }

  // Mostly a port that something answers at.
  static uint16_t port(Input& input) {
    constexpr uint16_t kPorts[] = {
        kPicMaster,    kPicMaster + 1, kPicSlave,     kPicSlave + 1, kPicElcr,       kPicElcr + 1,
        kPitPorts,     kPitPorts + 1,  kPitPorts + 2, kPitPorts + 3, kSystemControl, kI8042Data,
        kI8042Command, kRtcPorts,      kRtcPorts + 1, kFastA20,      kPm1Event,      kPm1Event + 2,
        kPm1Control,   kPmTimer,       kResetPort,    kDebugExitPort};
    const auto choice = input.take<uint8_t>();
    if (choice < std::size(kPorts)) return kPorts[choice];
    if (choice < 0x60) return static_cast<uint16_t>(kCom1 + choice % 8);
    if (choice < 0x80) return static_cast<uint16_t>(TestIrqLines::kBase + choice % 32);
    return input.take<uint16_t>();
  }

  static void access(const Bus& bus, uint64_t address, Input& input) {
    const auto how = input.take<uint8_t>();
    const uint32_t size = 1u << (how & 3);
    if ((how & 4) != 0) return bus.write(address, size, input.take<uint64_t>());
    const uint64_t value = bus.read(address, size);
    require(size == 8 || value >> size * 8 == 0);
  }

  void type(Input& input) {
    const auto most = input.take<uint8_t>() & 31;
    require(uart_.push(input.take_bytes(most)) <= 16);
  }

  void move_line(Input& input) {
    const auto gsi = input.take<uint8_t>();
    chipset_.set_line(gsi, (input.take<uint8_t>() & 1) != 0);
  }

  // Up to 50 ms with alarms that ring in time, or hours of a host that was asleep.
  void pass_time(Input& input) {
    const auto amount = input.take<uint32_t>();
    if ((amount & 1) == 0) return time_.stall(uint64_t{amount} << 16);
    const uint64_t ns = amount % 50'000'000, before = time_.rings();
    time_.advance(ns);
    constexpr uint64_t kOnce = 4;  // for what was due already, of two chips
    require(time_.rings() - before <= ns / Pit8254::kShortestPeriodNs + kOnce);
  }

  void program_ioapic(Input& input) {
    mmio_.write(IoApic::kBase, 4, 0x10 + input.take<uint8_t>() % 48u);
    mmio_.write(IoApic::kBase + 0x10, 4, input.take<uint32_t>());
  }

  void interrupt(Input& input) {
    const auto choice = input.take<uint8_t>();
    if ((choice & 3) == 0) (void)chipset_.acknowledge_extint();
    if ((choice & 3) == 1) chipset_.end_of_interrupt(input.take<uint8_t>());
    if ((choice & 3) == 2) power_.press_power_button();
    if ((choice & 3) == 3) {
      const auto saved = chipset_.capture();
      require(chipset_.restore(saved).has_value());
      require(chipset_.capture() == saved);
      (void)chipset_.restore(input.take_bytes(saved.size()));
    }
  }

  testing::SinkRecorder sink_;
  testing::EventRecorder events_;
  testing::ByteRecorder uart_text_;
  testing::FakeTime time_;
  Bus ports_, mmio_;
  Chipset chipset_{sink_, time_, testing::FakeTime::clock};
  husk::contract::IrqLine gsi(uint32_t number) {
    return {[](void* chips, uint32_t pin, bool level) {
              static_cast<Chipset*>(chips)->set_line(pin, level);
            },
            &chipset_, number};
  }
  Uart16550 uart_{gsi(kCom1Gsi), uart_text_};
  CmosRtc rtc_{time_, gsi(kRtcGsi), {testing::FakeTime::clock, testing::FakeTime::clock}};
  AcpiPm power_{events_, gsi(kSciGsi), testing::FakeTime::clock, kS5SleepType};
  ResetPort reset_{events_, kResetValue};
  I8042 keyboard_data_{events_, false}, keyboard_command_{events_, true};
  FastA20 fast_a20_{events_};
  DebugExit debug_exit_{events_};
  TestScratch scratch_;
  TestIrqLines lines_{[this](uint32_t number) { return gsi(number); }};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Fixture board;
  while (!input.empty()) {
    board.operate(input);
    board.check();
  }
  return 0;
}
