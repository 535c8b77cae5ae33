#include "runtime/machine_snapshot.h"

#include <gtest/gtest.h>

namespace husk::runtime {
namespace {

MachineState example() {
  MachineState state;
  state.vcpus.push_back(VcpuSnapshot::new_x86(0, Registers{.rip = 0x1000}));
  state.clock = {1, 2, 3};
  state.interrupt_controller = {std::byte{4}};
  state.chips = {{"serial-0", {std::byte{5}}}, {"virtio-0", {std::byte{6}, std::byte{7}}}};
  return state;
}

TEST(MachineSnapshot, KeepsEverything) {
  const MachineState state = example();
  const auto back = from_contents(to_contents(state)).value();
  EXPECT_EQ(back.vcpus, state.vcpus);
  EXPECT_EQ(back.clock.guest_ns, 1u);
  EXPECT_EQ(back.clock.host_monotonic_ns, 2u);
  EXPECT_EQ(back.clock.host_realtime_ns, 3u);
  EXPECT_EQ(back.interrupt_controller, state.interrupt_controller);
  ASSERT_EQ(back.chips.size(), 2u);
  EXPECT_EQ(back.chips[1].name, "virtio-0");
  EXPECT_EQ(back.chips[1].state, state.chips[1].state);
}

TEST(MachineSnapshot, RefusesWhatIsNoMachinesOfOurs) {
  auto contents = to_contents(example());
  contents.origin.guest_clocks.clear();
  EXPECT_FALSE(from_contents(contents));
  contents = to_contents(example());
  contents.states.erase(contents.states.begin());
  EXPECT_FALSE(from_contents(contents));
  contents = to_contents(example());
  contents.states.push_back({"warp-drive", {}});
  EXPECT_EQ(from_contents(contents).error().message(),
            "snapshot: has a warp-drive, which nobody knows");
}

}  // namespace
}  // namespace husk::runtime
