// The state of interrupt controllers and timer, from the board's chips to KVM's and back.
#include <chrono>
#include <thread>

#include "contract/x86/irqchip_codec.h"
#include "kernel_irqchip_vm.h"
#include "machine.h"
#include "platform/pc_layout.h"

namespace husk::contract_tests {
namespace {

using contract::x86::IoApicState;
using contract::x86::IrqchipState;
using contract::x86::PitCounterState;
using contract::x86::PitState;
using contract::x86::read_irqchip_state;
using contract::x86::write_irqchip_state;
using kvm::KvmVm;
using Kernel = KvmWithKernelIrqchip;

struct Nobody : contract::InterruptSink {
  void deliver(const contract::InterruptMessage&) override {}
  void set_extint(bool) override {}
};

class IrqchipMoves : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto vm = Kernel::create(1); !vm) GTEST_SKIP() << vm.error().message();
  }
};

// What an operating system leaves behind that uses all of it. Counter 0 rests, for its interrupts
// would change the rest while it is compared.
IrqchipState in_use() {
  IrqchipState state;
  state.pics[0] = {.lines = 0x10,
                   .requested = 0x10,
                   .in_service = 0x02,
                   .mask = 0x3a,
                   .level = 0x20,
                   .base = 0x30,
                   .lowest = 3,
                   .needs_icw4 = true,
                   .read_in_service = true,
                   .special_mask = true};
  state.pics[1].base = 0x38;
  state.pics[1].mask = 0xfe;
  state.pics[1].init_step = 3;
  state.ioapic.select = 0x17;
  state.ioapic.id = 0x05000000;
  state.ioapic.entries[4] = 0x0300000000010931;
  state.ioapic.entries[11] = IoApicState::kMasked | IoApicState::kLevel | 0x51;
  state.ioapic.lines = 1u << 11;
  PitCounterState& speaker = state.pit.counters[2];
  speaker.reload = speaker.triggered = 1500;
  speaker.latch = 0x1234;
  speaker.programmed = speaker.counting = speaker.latched = speaker.high_next_write = true;
  speaker.null_count = false;
  speaker.low_byte = 0x55;
  state.pit.control = PitState::kGate;
  return state;
}

// The counters' time goes on meanwhile.
IrqchipState without_time(const std::vector<std::byte>& bytes) {
  auto state = read_irqchip_state(bytes);
  EXPECT_TRUE(state) << state.error().message();
  if (!state) return {};
  for (PitCounterState& counter : state->pit.counters) counter.ns_since_load = 0;
  return *state;
}

template <class From, class To>
void move(From& from, To& to) {
  const auto state = from.capture_intc();
  ASSERT_TRUE(state) << state.error().message();
  const auto restored = to.restore_intc(*state);
  ASSERT_TRUE(restored) << restored.error().message();
}

TEST_F(IrqchipMoves, FromSplitToKernelAndBack) {
  Machine<KvmVm> split, back;
  Machine<Kernel> kernel;
  ASSERT_TRUE(split.vm->restore_intc(write_irqchip_state(in_use())));
  EXPECT_EQ(without_time(*split.vm->capture_intc()), in_use());
  move(*split.vm, *kernel.vm);
  EXPECT_EQ(without_time(*kernel.vm->capture_intc()), in_use());
  move(*kernel.vm, *back.vm);
  EXPECT_EQ(without_time(*back.vm->capture_intc()), in_use());
}

TEST_F(IrqchipMoves, FreshOnesAreAlike) {
  Machine<KvmVm> split;
  Machine<Kernel> kernel;
  EXPECT_EQ(without_time(*kernel.vm->capture_intc()), without_time(*split.vm->capture_intc()));
}

// The board of the built-in CPU has these chips.
TEST_F(IrqchipMoves, TheBoardsTimerGoesOnInTheKernel) {
  Nobody sink;
  runtime::AlarmThread alarms;
  platform::Chipset board(sink, alarms, base::monotonic_ns);
  platform::Bus ports, mmio;
  ASSERT_TRUE(board.attach(ports, mmio));
  ports.write(platform::kPitPorts + 3, 1, 0x34);  // mode 2, about 1000 Hz
  ports.write(platform::kPitPorts, 1, 1193 & 0xff);
  ports.write(platform::kPitPorts, 1, 1193 >> 8);
  Machine<Kernel> kernel;
  ASSERT_TRUE(kernel.vm->restore_intc(board.capture()));
  const auto ticks = [&] {
    return (read_irqchip_state(*kernel.vm->capture_intc())->pics[0].requested & 1) != 0;
  };
  const uint64_t start = base::monotonic_ns();
  while (!ticks() && base::monotonic_ns() - start < 10'000'000'000)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(ticks()) << "the master asks for interrupt 0";
}

TEST_F(IrqchipMoves, ATimerThatNobodySetStandsStill) {
  Machine<Kernel> kernel;
  ASSERT_TRUE(kernel.vm->restore_intc(write_irqchip_state({})));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // the longest period is 55
  EXPECT_EQ(read_irqchip_state(*kernel.vm->capture_intc())->pics[0].requested, 0);
}

}  // namespace
}  // namespace husk::contract_tests
