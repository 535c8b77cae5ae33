#include "contract/state_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace husk::contract {
namespace {

struct Chip {
  uint16_t control = 0;
  bool on = false;
  std::deque<uint8_t> fifo;

  void transfer_state(StateArchive& state) {
    state.version(1);
    state.value(control);
    state.check(control < 0x4000, "a control register that is impossible");
    state.value(on);
    state.bytes(fifo, 16);
  }
  [[nodiscard]] std::vector<std::byte> saved() {
    StateArchive state;
    transfer_state(state);
    return state.take();
  }
  Result<void> load(std::span<const std::byte> bytes) {
    StateArchive state(bytes);
    transfer_state(state);
    return state.finish("chip");
  }
};

const Chip kChip{.control = 0x1234, .on = true, .fifo = {1, 2, 3}};

TEST(StateArchive, BringsBackWhatWasSaved) {
  Chip from = kChip, to;
  ASSERT_TRUE(to.load(from.saved()));
  EXPECT_EQ(to.control, 0x1234);
  EXPECT_TRUE(to.on);
  EXPECT_EQ(to.fifo, (std::deque<uint8_t>{1, 2, 3}));
}

TEST(StateArchive, IsLittleEndianWithoutPadding) {
  Chip from = kChip;
  std::vector<int> bytes;
  for (const std::byte byte : from.saved()) bytes.push_back(std::to_integer<int>(byte));
  EXPECT_THAT(bytes, ::testing::ElementsAre(1, 0, 0, 0, 0x34, 0x12, 1,  //
                                            3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3));
}

std::string error_of(std::vector<std::byte> bytes) {
  Chip chip;
  const auto loaded = chip.load(bytes);
  return loaded ? "" : loaded.error().message();
}

TEST(StateArchive, TellsWhatIsWrong) {
  Chip from = kChip;
  const auto good = from.saved();
  auto bytes = good;
  bytes[0] = std::byte{2};
  EXPECT_EQ(error_of(bytes), "chip: has a version other than 1");
  bytes = good;
  bytes[5] = std::byte{0xff};
  EXPECT_EQ(error_of(bytes), "chip: has a control register that is impossible");
  bytes = good;
  bytes[6] = std::byte{2};
  EXPECT_EQ(error_of(bytes), "chip: has a flag that is neither 0 nor 1");
  bytes = good;
  bytes[7] = std::byte{17};
  EXPECT_EQ(error_of(bytes), "chip: has more than there can be");
  bytes = good;
  bytes.push_back({});
  EXPECT_EQ(error_of(bytes), "chip: is 1 bytes too long");
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(error_of({good.begin(), good.begin() + static_cast<ptrdiff_t>(size)}),
              "chip: has an end too early");
}

}  // namespace
}  // namespace husk::contract
