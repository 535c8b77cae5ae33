#include "virtio/block.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "virtio/empty_store.h"
#include "virtio/file_store.h"
#include "virtio/testing/device_driver.h"

namespace husk::virtio {
namespace {

using testing::DeviceDriver;

constexpr uint64_t kSector = 512, kSectors = 64;
constexpr uint8_t kOk = 0, kIoError = 1, kUnsupported = 2;

// A disk of 32 KiB in a file; sector n is full of the letter 'a' + n % 26.
class BlockTest : public ::testing::Test {
 protected:
  BlockTest() {
    path_ = std::filesystem::temp_directory_path() / ("husk-block-" + std::to_string(::getpid()));
    std::ofstream file(path_);
    for (uint64_t n = 0; n < kSectors; ++n) file << sector(n);
    file.close();
    open(false);
  }
  ~BlockTest() override { std::filesystem::remove(path_); }

  static std::string sector(uint64_t n) {
    return std::string(kSector, static_cast<char>('a' + n % 26));
  }
  void open(bool read_only) {
    driver_.reset();
    auto store = FileStore::open(path_, read_only);
    ASSERT_TRUE(store);
    driver_ = std::make_unique<DeviceDriver>(
        std::make_unique<Block>(std::move(*store), "serial number 1"));
    driver_->start(1);
  }
  std::string on_disk(uint64_t at, uint64_t length) {
    std::ifstream file(path_);
    file.seekg(static_cast<std::streamoff>(at));
    std::string out(length, '\0');
    file.read(out.data(), static_cast<std::streamsize>(length));
    return out;
  }
  static std::string header(uint32_t type, uint64_t at = 0) {
    std::string out(16, '\0');
    std::memcpy(out.data(), &type, 4);
    std::memcpy(out.data() + 8, &at, 8);
    return out;
  }
  static std::string range(uint64_t at, uint32_t count, uint32_t flags = 0) {
    std::string out(16, '\0');
    std::memcpy(out.data(), &at, 8);
    std::memcpy(out.data() + 8, &count, 4);
    std::memcpy(out.data() + 12, &flags, 4);
    return out;
  }
  // The status byte of a request without data for the guest; 255: none came.
  uint8_t request(const std::string& bytes) {
    const auto status = driver_->room(1);
    const auto used = driver_->send(0, {driver_->fill(bytes), status});
    EXPECT_TRUE(!used || *used == 1);
    return used ? static_cast<uint8_t>(driver_->text(status, 1)[0]) : 255;
  }
  uint8_t read(uint64_t at, uint32_t length, std::string& data) {
    const auto buffer = driver_->room(length), status = driver_->room(1);
    const auto used = driver_->send(0, {driver_->fill(header(0, at)), buffer, status});
    data = driver_->text(buffer, length);
    return used ? static_cast<uint8_t>(driver_->text(status, 1)[0]) : 255;
  }

  std::filesystem::path path_;
  std::unique_ptr<DeviceDriver> driver_;
};

TEST_F(BlockTest, TellsItsSizeAndLimits) {
  EXPECT_EQ(driver_->config(0, 8), kSectors);
  EXPECT_EQ(driver_->config(20, 4), kSector);
  EXPECT_EQ(driver_->config(60, 8), 0u) << "behind the end";
  constexpr uint64_t kReadOnly = 1 << 5, kFlush = 1 << 9, kDiscard = 1 << 13, kZeroes = 1 << 14;
  EXPECT_EQ(driver_->offered() & (kReadOnly | kFlush | kDiscard | kZeroes),
            kFlush | kDiscard | kZeroes);
  open(true);
  EXPECT_EQ(driver_->offered() & (kReadOnly | kFlush | kDiscard | kZeroes), kReadOnly | kFlush);
}

TEST_F(BlockTest, ReadsSectors) {
  std::string data;
  EXPECT_EQ(read(3, 1024, data), kOk);
  EXPECT_EQ(data, sector(3) + sector(4));
}

TEST_F(BlockTest, UsedLengthCountsDataAndStatus) {
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(0)), driver_->room(512), driver_->room(1)}),
            513u);
  EXPECT_EQ(
      driver_->send(0, {driver_->fill(header(0, kSectors)), driver_->room(512), driver_->room(1)}),
      1u);
}

TEST_F(BlockTest, ReadsIntoPiecesOfAnySize) {
  const auto a = driver_->room(100), b = driver_->room(412 + 13), c = driver_->room(499 + 1);
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(0, 7)), a, b, c}), 1025u);
  EXPECT_EQ(driver_->text(a, 100) + driver_->text(b, 425) + driver_->text(c, 499),
            sector(7) + sector(8));
  EXPECT_EQ(driver_->text(c, 500)[499], kOk) << "the status is the last byte of all";
}

TEST_F(BlockTest, WritesFromPiecesThatShareABufferWithTheHeader) {
  EXPECT_EQ(request(header(1, 5) + std::string(512, 'X')), kOk);
  EXPECT_EQ(on_disk(4 * kSector, 3 * kSector), sector(4) + std::string(512, 'X') + sector(6));
}

TEST_F(BlockTest, RefusesWhatLiesOutside) {
  std::string data;
  EXPECT_EQ(read(kSectors, 512, data), kIoError);
  EXPECT_EQ(read(kSectors - 1, 1024, data), kIoError);
  EXPECT_EQ(read(~0ull / 512, 512, data), kIoError);
  EXPECT_EQ(read(1ull << 55, 512, data), kIoError) << "the product overflows";
  EXPECT_EQ(read(0, 100, data), kIoError) << "not whole sectors";
  EXPECT_EQ(request(header(1, kSectors) + std::string(512, 'X')), kIoError);
  EXPECT_EQ(std::filesystem::file_size(path_), kSectors * kSector);
  EXPECT_FALSE(driver_->broken()) << "an error of the request's, not the driver's";
}

TEST_F(BlockTest, ReadOnlyDisksStayAsTheyAre) {
  open(true);
  EXPECT_EQ(request(header(1, 5) + std::string(512, 'X')), kIoError);
  EXPECT_EQ(request(header(13) + range(5, 1)), kIoError);
  EXPECT_EQ(request(header(11) + range(5, 1)), kIoError);
  EXPECT_EQ(request(header(4)), kOk) << "a flush has nothing to do";
  EXPECT_EQ(on_disk(5 * kSector, kSector), sector(5));
}

TEST_F(BlockTest, FlushAndUnknownRequests) {
  EXPECT_EQ(request(header(4)), kOk);
  EXPECT_EQ(request(header(77)), kUnsupported);
}

TEST_F(BlockTest, TellsItsSerialNumber) {
  const auto id = driver_->room(20), status = driver_->room(1);
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(8)), id, status}), 21u);
  EXPECT_EQ(driver_->text(id, 20), std::string("serial number 1") + std::string(5, '\0'));
}

TEST_F(BlockTest, WritesZeroes) {
  EXPECT_EQ(request(header(13) + range(2, 2) + range(10, 1, 1)), kOk);
  EXPECT_EQ(on_disk(kSector, 4 * kSector), sector(1) + std::string(1024, '\0') + sector(4));
  EXPECT_EQ(on_disk(10 * kSector, kSector), std::string(512, '\0'));
  EXPECT_EQ(std::filesystem::file_size(path_), kSectors * kSector);
}

TEST_F(BlockTest, EraseRequestsAreCheckedToo) {
  EXPECT_EQ(request(header(13) + range(kSectors - 1, 2)), kIoError);
  EXPECT_EQ(request(header(13) + range(0, ~0u)), kIoError);
  EXPECT_EQ(request(header(13) + range(0, 1, 2)), kUnsupported);
  EXPECT_EQ(request(header(11) + range(0, 1, 1)), kUnsupported) << "unmap is not discard's";
  EXPECT_EQ(request(header(13) + std::string(15, 'x')), kIoError);
  EXPECT_EQ(request(header(13)), kIoError) << "no ranges";
  EXPECT_EQ(on_disk(0, kSector), sector(0));
  EXPECT_EQ(request(header(11) + range(3, 1)), kOk);
}

TEST_F(BlockTest, ChainsWithoutHeaderOrStatusBreakTheQueue) {
  EXPECT_FALSE(driver_->send(0, {driver_->fill(header(0))}));
  EXPECT_TRUE(driver_->broken());
  driver_->start(1);
  EXPECT_FALSE(driver_->send(0, {driver_->fill("short"), driver_->room(1)}));
  EXPECT_TRUE(driver_->broken());
}

TEST_F(BlockTest, ManyRequestsAtOnce) {
  std::vector<DeviceDriver::Buffer> data;
  for (uint64_t n = 0; n < 5; ++n) {
    data.push_back(driver_->room(512));
    driver_->offer(0, {driver_->fill(header(0, n)), data.back(), driver_->room(1)});
  }
  driver_->notify(0);
  for (uint64_t n = 0; n < 5; ++n) {
    EXPECT_EQ(driver_->used(0), 513u);
    EXPECT_EQ(driver_->text(data[n], 512), sector(n));
  }
}

TEST_F(BlockTest, AFileThatShrankIsAnErrorNotACrash) {
  std::filesystem::resize_file(path_, 1024);
  std::string data;
  EXPECT_EQ(read(1, 512, data), kOk);
  EXPECT_EQ(read(2, 512, data), kIoError);
}

TEST_F(BlockTest, TheIdentityOfItsConfigurationIsByTheByte) {
  EXPECT_EQ(driver_->read(8), 2u);
  EXPECT_EQ(driver_->config(12, 4), 126u) << "seg_max";
  EXPECT_EQ(driver_->config(0, 1) | driver_->config(1, 1) << 8, kSectors);
  EXPECT_EQ(driver_->config(40, 4), 32u) << "max_discard_seg";
  EXPECT_EQ(driver_->config(52, 4), 32u) << "max_write_zeroes_seg";
  EXPECT_EQ(driver_->config(56, 1), 1u) << "write_zeroes_may_unmap";
  EXPECT_EQ(driver_->config(56, 8), 1u) << "and zeroes behind the end";
  driver_->write(DeviceDriver::kConfig, 7);
  EXPECT_EQ(driver_->config(0, 8), kSectors) << "not the driver's to write";
}

TEST_F(BlockTest, DataOfNoLengthIsNoError) {
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(0, kSectors)), driver_->room(1)}), 1u);
  EXPECT_EQ(request(header(1, kSectors)), kOk);
  EXPECT_EQ(request(header(1, kSectors + 1)), kIoError);
}

TEST_F(BlockTest, AWriteOfAnOddLengthChangesNothing) {
  EXPECT_EQ(request(header(1, 5) + std::string(513, 'X')), kIoError);
  EXPECT_EQ(on_disk(5 * kSector, 2 * kSector), sector(5) + sector(6));
}

TEST_F(BlockTest, ASerialNumberIsCutToTheBuffer) {
  const auto id = driver_->room(6), status = driver_->room(1);
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(8)), id, status}), 7u);
  EXPECT_EQ(driver_->text(id, 7), std::string("serial\0", 7)) << "the status is its own byte";
}

TEST_F(BlockTest, ASerialNumberHasTwentyBytesAtMost) {
  driver_.reset();
  auto store = FileStore::open(path_, true);
  ASSERT_TRUE(store);
  driver_ = std::make_unique<DeviceDriver>(
      std::make_unique<Block>(std::move(*store), "a serial number that is too long"));
  driver_->start(1);
  const auto id = driver_->room(40), status = driver_->room(1);
  EXPECT_EQ(driver_->send(0, {driver_->fill(header(8)), id, status}), 21u);
  EXPECT_EQ(driver_->text(id, 40), "a serial number that" + std::string(20, '\0'));
}

TEST_F(BlockTest, ErasesAsManyRangesAsItSays) {
  std::string ranges;
  for (uint64_t n = 0; n < 32; ++n) ranges += range(n, 1);
  EXPECT_EQ(request(header(13) + ranges), kOk);
  EXPECT_EQ(on_disk(0, 33 * kSector), std::string(32 * kSector, '\0') + sector(32));
  EXPECT_EQ(request(header(13) + ranges + range(40, 1)), kIoError);
  EXPECT_EQ(on_disk(40 * kSector, kSector), sector(40));
}

TEST_F(BlockTest, ErasesNothingBehindARangeThatIsWrong) {
  EXPECT_EQ(request(header(13) + range(kSectors, 1) + range(3, 1)), kIoError);
  EXPECT_EQ(request(header(11) + range(~0ull, 1) + range(3, 1)), kIoError) << "overflows";
  EXPECT_EQ(on_disk(3 * kSector, kSector), sector(3));
}

// Fails whatever it is asked for, as a disk of the host's may at any time.
class BrokenStore : public contract::BlockStore {
 public:
  [[nodiscard]] uint64_t size() const override { return 1000; }  // not whole sectors
  [[nodiscard]] bool read_only() const override { return false; }
  Result<void> read(uint64_t, std::span<std::byte>) override { return no(); }
  Result<void> write(uint64_t, std::span<const std::byte>) override { return no(); }
  Result<void> flush() override { return no(); }
  Result<void> discard(uint64_t, uint64_t) override { return no(); }
  Result<void> write_zeroes(uint64_t, uint64_t, bool) override { return no(); }

 private:
  static Result<void> no() { return fail(ErrorKind::kIo, "disk", "broken"); }
};

TEST_F(BlockTest, ErrorsOfTheStoreAreTheRequests) {
  driver_ = std::make_unique<DeviceDriver>(
      std::make_unique<Block>(std::make_unique<BrokenStore>(), "broken"));
  driver_->start(1);
  EXPECT_EQ(driver_->config(0, 8), 1u) << "whole sectors only";
  std::string data;
  EXPECT_EQ(read(0, 512, data), kIoError);
  EXPECT_EQ(read(1, 512, data), kIoError);
  EXPECT_EQ(request(header(1) + std::string(512, 'X')), kIoError);
  EXPECT_EQ(request(header(4)), kIoError);
  EXPECT_EQ(request(header(11) + range(0, 1)), kIoError);
  EXPECT_EQ(request(header(13) + range(0, 1)), kIoError);
  EXPECT_FALSE(driver_->broken()) << "the driver did nothing wrong";
}

// Notes what it is asked for and has no data.
class NotingStore : public contract::BlockStore {
 public:
  NotingStore(bool read_only, std::vector<uint64_t>& lengths)
      : read_only_(read_only), lengths_(lengths) {}
  [[nodiscard]] uint64_t size() const override { return uint64_t{8} << 30; }
  [[nodiscard]] bool read_only() const override { return read_only_; }
  Result<void> read(uint64_t, std::span<std::byte>) override { return {}; }
  Result<void> write(uint64_t, std::span<const std::byte> in) override { return note(in.size()); }
  Result<void> flush() override { return {}; }
  Result<void> discard(uint64_t, uint64_t length) override { return note(length); }
  Result<void> write_zeroes(uint64_t, uint64_t length, bool) override { return note(length); }

 private:
  Result<void> note(uint64_t length) {
    lengths_.push_back(length);
    return {};
  }
  bool read_only_;
  std::vector<uint64_t>& lengths_;
};

TEST_F(BlockTest, AReadOnlyStoreIsNotEvenAsked) {
  std::vector<uint64_t> lengths;
  driver_ = std::make_unique<DeviceDriver>(
      std::make_unique<Block>(std::make_unique<NotingStore>(true, lengths), ""));
  driver_->start(1);
  EXPECT_EQ(request(header(1) + std::string(512, 'X')), kIoError);
  EXPECT_EQ(request(header(11) + range(0, 1)), kIoError);
  EXPECT_EQ(request(header(13) + range(0, 1)), kIoError);
  EXPECT_TRUE(lengths.empty());
}

TEST_F(BlockTest, ErasesAsMuchAtATimeAsItSays) {
  std::vector<uint64_t> lengths;
  driver_ = std::make_unique<DeviceDriver>(
      std::make_unique<Block>(std::make_unique<NotingStore>(false, lengths), ""));
  driver_->start(1);
  const auto most = static_cast<uint32_t>(driver_->config(36, 4));
  EXPECT_EQ(driver_->config(48, 4), most) << "the same for zeroes";
  EXPECT_EQ(request(header(11) + range(0, most)), kOk);
  EXPECT_EQ(request(header(13) + range(0, most)), kOk);
  EXPECT_EQ(lengths, std::vector<uint64_t>(2, most * kSector));
  EXPECT_EQ(request(header(11) + range(0, most + 1)), kIoError);
  EXPECT_EQ(request(header(13) + range(0, most + 1)), kIoError);
  EXPECT_EQ(lengths.size(), 2u);
}

// As a base snapshot is: its disk comes only with the image.
TEST(EmptyBlock, ADriverHearsOfTheDiskAsItGoesOn) {
  const auto path =
      std::filesystem::temp_directory_path() / ("husk-late-disk-" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(8 * kSector, 'x');
  ::chmod(path.c_str(), 0400);
  DeviceDriver driver(std::make_unique<Block>(std::make_unique<EmptyStore>(), "late"));
  driver.start(1);
  EXPECT_EQ(driver.config(0, 8), 0u);
  const auto state = driver.state();
  auto store = FileStore::open(path, true);
  ASSERT_TRUE(store);
  ASSERT_TRUE(driver.go_on_with(std::make_unique<Block>(std::move(*store), "late"), state));
  EXPECT_FALSE(driver.line()) << "the vCPUs may not have been restored yet";
  driver.transport().go_on();
  EXPECT_TRUE(driver.line());
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 2u) << "the configuration changed";
  EXPECT_EQ(driver.config(0, 8), 8u);
  driver.write(DeviceDriver::kInterruptAck, 2);
  driver.transport().go_on();
  EXPECT_FALSE(driver.line()) << "told once";
  std::filesystem::remove(path);
}

TEST(EmptyBlock, ADiskWithOtherRightsIsRefused) {
  const auto path =
      std::filesystem::temp_directory_path() / ("husk-writable-disk-" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(8 * kSector, 'x');
  DeviceDriver driver(std::make_unique<Block>(std::make_unique<EmptyStore>(), "late"));
  driver.start(1);
  const auto state = driver.state();
  auto store = FileStore::open(path, false);
  ASSERT_TRUE(store);
  EXPECT_FALSE(driver.go_on_with(std::make_unique<Block>(std::move(*store), "late"), state));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace husk::virtio
