#include "platform/bus.h"

#include <gtest/gtest.h>

namespace husk::platform {
namespace {

class Recorder : public contract::IoHandler {
 public:
  std::string_view name() const override { return "recorder"; }
  uint64_t read(uint64_t offset, uint32_t size) override {
    return 0x1122334455667700 + offset * 16 + size;
  }
  void write(uint64_t offset, uint32_t, uint64_t value) override {
    last_offset = offset;
    last_value = value;
  }
  uint64_t last_offset = ~0ull, last_value = 0;
};

TEST(Bus, GivesDevicesOffsetsAndCutsReadsToSize) {
  Bus bus;
  Recorder device;
  ASSERT_TRUE(bus.attach(0x100, 8, device));
  EXPECT_EQ(bus.read(0x103, 1), 0x31u);
  EXPECT_EQ(bus.read(0x104, 2), 0x7742u);
  bus.write(0x107, 1, 0xab);
  EXPECT_EQ(device.last_offset, 7u);
  EXPECT_EQ(device.last_value, 0xabu);
}

TEST(Bus, CutsWritesToSize) {
  Bus bus;
  Recorder device;
  ASSERT_TRUE(bus.attach(0x100, 8, device));
  bus.write(0x100, 2, 0x1122334455667788);
  EXPECT_EQ(device.last_value, 0x7788u);
  bus.write(0x100, 8, 0x1122334455667788);
  EXPECT_EQ(device.last_value, 0x1122334455667788u);
}

TEST(Bus, WindowsMayEndWithTheAddressSpaceButNotBeyond) {
  Bus bus;
  Recorder device;
  EXPECT_FALSE(bus.attach(~uint64_t{0} - 6, 8, device));
  ASSERT_TRUE(bus.attach(~uint64_t{0} - 8, 8, device));
  EXPECT_EQ(bus.read(~uint64_t{0} - 1, 1), 0x71u);
  EXPECT_EQ(bus.read(~uint64_t{0} - 1, 4), 0xffffffffu);
}

TEST(Bus, UnclaimedReadsAreOnesAndStraddlingAccessesAreUnclaimed) {
  Bus bus;
  Recorder device;
  ASSERT_TRUE(bus.attach(0x100, 8, device));
  EXPECT_EQ(bus.read(0xff, 1), 0xffu);
  EXPECT_EQ(bus.read(0x108, 4), 0xffffffffu);
  EXPECT_EQ(bus.read(0x106, 4), 0xffffffffu);
  EXPECT_EQ(bus.read(0xfe, 4), 0xffffffffu);
  bus.write(0x106, 4, 1);
  EXPECT_EQ(device.last_offset, ~0ull);
}

TEST(Bus, RefusesOverlappingWindows) {
  Bus bus;
  Recorder device;
  ASSERT_TRUE(bus.attach(0x100, 0x10, device));
  EXPECT_FALSE(bus.attach(0x10f, 1, device));
  EXPECT_FALSE(bus.attach(0xf8, 9, device));
  EXPECT_FALSE(bus.attach(0x80, 0x1000, device));
  EXPECT_FALSE(bus.attach(0x200, 0, device));
  EXPECT_TRUE(bus.attach(0xf8, 8, device));
  EXPECT_TRUE(bus.attach(0x110, 1, device));
}

}  // namespace
}  // namespace husk::platform
