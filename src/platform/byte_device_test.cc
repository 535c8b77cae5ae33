#include "platform/byte_device.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace husk::platform {
namespace {

class Cycles : public ByteDevice {
 public:
  std::string_view name() const override { return "cycles"; }
  std::vector<std::pair<uint64_t, int>> written;

 private:
  uint8_t read_byte(uint64_t offset) override { return static_cast<uint8_t>(0xa0 + offset); }
  void write_byte(uint64_t offset, uint8_t value) override { written.emplace_back(offset, value); }
};

TEST(ByteDeviceTest, WideAccessesAreBytesLowestFirst) {
  Cycles device;
  EXPECT_EQ(device.read(2, 1), 0xa2u);
  EXPECT_EQ(device.read(2, 4), 0xa5a4a3a2u);
  EXPECT_EQ(device.read(0, 8), 0xa7a6a5a4a3a2a1a0u);
  device.write(1, 2, 0x112233);
  EXPECT_EQ(device.written, (std::vector<std::pair<uint64_t, int>>{{1, 0x33}, {2, 0x22}}));
}

}  // namespace
}  // namespace husk::platform
