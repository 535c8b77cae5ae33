// Every chip from several threads at once, wired as on the board: what a thread sanitizer and a
// lock taken twice would show.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "platform/acpi_pm.h"
#include "platform/bus.h"
#include "platform/chipset.h"
#include "platform/cmos_rtc.h"
#include "platform/pc_layout.h"
#include "platform/uart16550.h"

namespace husk::platform {
namespace {

std::atomic<uint64_t> now_ns;
uint64_t clock_ns() { return now_ns.load(); }

// Rings whenever it is asked to, set or not: the chips must bear that.
class Bells : public contract::AlarmFactory {
 public:
  struct Alarm : contract::Alarm {
    void set(uint64_t) override {}
    void cancel() override {}
  };
  std::unique_ptr<contract::Alarm> create_alarm(std::function<void()> callback) override {
    callbacks_.push_back(std::move(callback));
    return std::make_unique<Alarm>();
  }
  void ring() {
    for (const auto& callback : callbacks_) callback();
  }

 private:
  std::vector<std::function<void()>> callbacks_;
};

// A CPU that answers every level at once, from within the delivery.
class Cpu : public contract::InterruptSink {
 public:
  void deliver(const contract::InterruptMessage& message) override {
    if (++delivered % 3 == 0) chipset->end_of_interrupt(message.vector);
  }
  void set_extint(bool asserted) override { extint = asserted; }
  Chipset* chipset = nullptr;
  std::atomic<uint64_t> delivered = 0;
  std::atomic<bool> extint = false;
};

struct Nowhere : contract::ByteSink, contract::MachineEventSink {
  void write(std::span<const std::byte>) override {}
  void raise(contract::MachineEvent, uint32_t) override {}
};

class Board {
 public:
  Board() {
    cpu_.chipset = &chipset_;
    EXPECT_TRUE(chipset_.attach(ports_, mmio_));
    attach(kRtcPorts, 2, rtc_);
    attach(kCom1, Uart16550::kPorts, uart_);
    attach(kPm1Event, AcpiPm::kPorts, power_);
    uart_.set_on_room([this] { (void)uart_.push(std::as_bytes(std::span("x", 1))); });
    for (uint32_t pin = 0; pin < IoApic::kPins; ++pin) {
      chipset_.ioapic().write(0, 4, 0x10 + pin * 2);
      chipset_.ioapic().write(0x10, 4, 0x30 + pin + (pin % 2 == 0 ? 0x8000 : 0));
    }
  }

  void guest(uint32_t seed) {
    static constexpr uint16_t kPorts[] = {kPicMaster, kPitPorts, kSystemControl, kRtcPorts,
                                          kCom1,      kPm1Event, kPicSlave};
    for (uint32_t i = 0; i < 20'000; ++i) {
      seed = seed * 1'664'525 + 1'013'904'223;
      const uint16_t port = kPorts[(seed >> 8) % std::size(kPorts)] + (seed >> 24 & 3);
      if ((seed & 0x10000) != 0) {
        ports_.write(port, 1, seed >> 16);
      } else {
        (void)ports_.read(port, 1);
      }
      if (cpu_.extint && seed % 5 == 0) (void)chipset_.acknowledge_extint();
    }
  }

  void host() {
    for (uint32_t i = 0; i < 5'000; ++i) {
      now_ns += 100'003;
      bells_.ring();
      (void)uart_.push(std::as_bytes(std::span("hello", 5)));
      if (i % 16 == 0) power_.press_power_button();
      const auto state = chipset_.capture();
      if (i % 64 == 0) {
        EXPECT_TRUE(chipset_.restore(state));
      }
    }
  }

  [[nodiscard]] uint64_t delivered() const { return cpu_.delivered; }

 private:
  void attach(uint64_t base, uint64_t size, contract::IoHandler& handler) {
    ASSERT_TRUE(ports_.attach(base, size, handler));
  }
  contract::IrqLine gsi(uint32_t number) {
    return {[](void* chips, uint32_t pin, bool level) {
              static_cast<Chipset*>(chips)->set_line(pin, level);
            },
            &chipset_, number};
  }

  Bus ports_, mmio_;
  Cpu cpu_;
  Nowhere nowhere_;
  Bells bells_;
  Chipset chipset_{cpu_, bells_, clock_ns};
  CmosRtc rtc_{bells_, gsi(kRtcGsi), {clock_ns, clock_ns}};
  Uart16550 uart_{gsi(kCom1Gsi), nowhere_};
  AcpiPm power_{nowhere_, gsi(kSciGsi), clock_ns, kS5SleepType};
};

TEST(Threads, ChipsBearSeveralAtOnce) {
  Board board;
  std::vector<std::jthread> threads;
  for (uint32_t seed = 1; seed <= 3; ++seed) threads.emplace_back([&, seed] { board.guest(seed); });
  threads.emplace_back([&] { board.host(); });
  threads.clear();
  EXPECT_GT(board.delivered(), 0u);
}

}  // namespace
}  // namespace husk::platform
