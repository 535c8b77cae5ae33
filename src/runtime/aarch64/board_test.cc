#include "board.h"

#include <gmock/gmock.h>

#include <cstring>

#include "boot/arm64/testing/images.h"
#include "virtio/mmio_transport.h"
#include "virtio/rng.h"

namespace husk::runtime {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMemory = 64 << 20;

class Collected : public contract::ByteSink {
 public:
  void write(std::span<const std::byte> data) override {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  std::string text;
};

class AarchBoard : public ::testing::Test {
 protected:
  static constexpr uint32_t kNone = ~uint32_t{0};

  std::unique_ptr<Board> make(uint32_t vcpus = 1) {
    BoardOptions options;
    options.vcpus = vcpus;
    const auto line = [this](uint32_t spi) {
      return contract::IrqLine(
          [](void* self, uint32_t number, bool level) {
            static_cast<AarchBoard*>(self)->raised_ = level ? number : kNone;
          },
          this, spi);
    };
    return Board::create(options, *memory_, line, serial_).value();
  }
  std::unique_ptr<virtio::MmioTransport> device(const Board& board) {
    return std::make_unique<virtio::MmioTransport>(std::make_unique<virtio::Rng>(), *memory_,
                                                   board.next_virtio_line());
  }
  std::string tree() {
    const std::byte* start = memory_->find(Gpa{boot::arm64::kDeviceTree}, 0x10000);
    return {reinterpret_cast<const char*>(start), 0x10000};
  }

  std::unique_ptr<memory::GuestMemory> memory_ =
      memory::GuestMemory::create(boot::arm64::ram_layout(kMemory)).value();
  Collected serial_;
  uint32_t raised_ = kNone;
};

TEST_F(AarchBoard, HasASerialPortWhereTheTreeSaysSo) {
  const auto board = make();
  for (const char c : {'h', 'i'})
    board->mmio().write(boot::arm64::kSerial, 1, static_cast<uint8_t>(c));
  EXPECT_EQ(serial_.text, "hi");
  // UARTIMSC: a byte received, and none following it.
  board->mmio().write(boot::arm64::kSerial + 0x38, 4, 0x50);
  const auto byte = std::byte{'x'};
  EXPECT_EQ(raised_, kNone);
  EXPECT_EQ(board->serial().push({&byte, 1}), 1u);
  EXPECT_EQ(raised_, boot::arm64::kSerialSpi);
  EXPECT_EQ(board->mmio().read(boot::arm64::kSerial, 1), uint64_t{'x'});
  EXPECT_EQ(raised_, kNone);
}

TEST_F(AarchBoard, VirtioSlotsHaveAPageAndALineEach) {
  const auto board = make();
  for (uint32_t slot = 0; slot < kVirtioSlots; ++slot) {
    const contract::IrqLine line = board->next_virtio_line();
    EXPECT_EQ(line.gsi(), boot::arm64::kVirtioFirstSpi + slot);
    line.set(true);
    EXPECT_EQ(raised_, boot::arm64::kVirtioFirstSpi + slot);
    EXPECT_EQ(board->attach_virtio(device(*board)).value(), slot);
    const uint64_t base = boot::arm64::kVirtio + slot * boot::arm64::kVirtioStride;
    EXPECT_EQ(board->mmio().read(base, 4), 0x74726976u) << "virtio's magic number";
    EXPECT_EQ(board->mmio().read(base + 8, 4), 4u) << "entropy";
  }
  const auto more = board->attach_virtio(device(*board));
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().message(), HasSubstr("no room for more than 64 devices"));
}

TEST_F(AarchBoard, TellsTheKernelWhatItHas) {
  const auto board = make(3);
  ASSERT_TRUE(board->attach_virtio(device(*board)));
  const auto image = boot::arm64::testing::plain_image();
  boot::arm64::KernelRequest request;
  request.name = "kernel";
  request.kernel = image;
  request.command_line = "console=ttyAMA0 and more";
  const auto loaded = board->load(request);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->entry.x[0], boot::arm64::kDeviceTree);
  const std::string first = tree();
  EXPECT_THAT(first, HasSubstr("console=ttyAMA0 and more"));
  EXPECT_THAT(first, HasSubstr("cpu@2"));
  EXPECT_THAT(first, ::testing::Not(HasSubstr("cpu@3")));
  EXPECT_THAT(first, HasSubstr("virtio_mmio@a000000"));
  EXPECT_THAT(first, ::testing::Not(HasSubstr("virtio_mmio@a001000")));
  EXPECT_THAT(first, HasSubstr("rng-seed"));
  EXPECT_THAT(first, HasSubstr("kaslr-seed"));
  ASSERT_TRUE(board->load(request));
  EXPECT_NE(tree(), first) << "seeds are fresh for every start";
}

TEST_F(AarchBoard, RefusesWhatItHasNot) {
  BoardOptions options;
  options.debug_exit = true;
  EXPECT_FALSE(
      Board::create(options, *memory_, [](uint32_t) { return contract::IrqLine(); }, serial_));
  boot::arm64::KernelRequest request;
  request.name = "nothing";
  EXPECT_FALSE(make()->load(request));
}

}  // namespace
}  // namespace husk::runtime
