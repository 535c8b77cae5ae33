#include "virtio/console.h"

#include <gtest/gtest.h>

#include "virtio/testing/device_driver.h"

namespace husk::virtio {
namespace {

using testing::DeviceDriver;

class Sink : public contract::ByteSink {
 public:
  void write(std::span<const std::byte> data) override {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  std::string text;
};

struct Control {
  uint32_t port;
  uint16_t event, value;
  std::string text;
};
enum Event : uint16_t {
  kDeviceReady,
  kPortAdd,
  kPortRemove,
  kPortReady,
  kConsolePort,
  kResize,
  kPortOpen,
  kPortName
};

// Port 0 is a console, port 1 a stream called "agent".
class ConsoleTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kReceive0 = 0, kTransmit0 = 1, kControlIn = 2, kControlOut = 3,
                            kReceive1 = 4, kTransmit1 = 5, kQueues = 6;

  ConsoleTest() {
    auto device = std::make_unique<Console>(std::vector<Console::PortSpec>{
        {"console", true, &output_[0]}, {"agent", false, &output_[1]}});
    console_ = device.get();
    driver_ = std::make_unique<DeviceDriver>(std::move(device));
    restart();
  }
  static constexpr uint64_t kMultiport = 2;

  std::optional<uint32_t> tell(uint32_t port, uint16_t event, uint16_t value) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &port, 4);
    std::memcpy(bytes.data() + 4, &event, 2);
    std::memcpy(bytes.data() + 6, &value, 2);
    return driver_->send(kControlOut, {driver_->fill(bytes)});
  }
  // The next control message of the device's. Without one, the buffer for it stays offered.
  std::optional<Control> hear() {
    if (!listening_) {
      listening_ = driver_->room(64);
      driver_->offer(kControlIn, {*listening_});
    }
    driver_->notify(kControlIn);
    const auto length = driver_->used(kControlIn);
    if (!length) return std::nullopt;
    const std::string bytes = driver_->text(*std::exchange(listening_, std::nullopt), *length);
    Control message{0, 0, 0, bytes.substr(8)};
    std::memcpy(&message.port, bytes.data(), 4);
    std::memcpy(&message.event, bytes.data() + 4, 2);
    std::memcpy(&message.value, bytes.data() + 6, 2);
    return message;
  }
  void open(uint32_t port) { tell(port, kPortOpen, 1); }
  void restart(uint64_t features = kFeatureVersion1 | kMultiport) {
    listening_.reset();
    driver_->start(kQueues, features);
  }
  // Both ports ready, and what the device says to that heard.
  void introduce() {
    tell(0, kPortReady, 1);
    tell(1, kPortReady, 1);
    while (hear()) {
    }
  }
  size_t type(size_t port, std::string_view text) {
    return console_->input(port).push(std::as_bytes(std::span(text)));
  }

  Sink output_[2];
  int told_ = 0;  // of room; the device may tell until it is gone
  Console* console_ = nullptr;
  std::unique_ptr<DeviceDriver> driver_;
  std::optional<DeviceDriver::Buffer> listening_;
};

TEST_F(ConsoleTest, HasAPortCountInItsConfiguration) {
  EXPECT_EQ(driver_->config(4, 4), 2u);
  EXPECT_EQ(driver_->offered() & kMultiport, kMultiport);
}

TEST_F(ConsoleTest, IntroducesItsPorts) {
  tell(0, kDeviceReady, 1);
  for (uint32_t port = 0; port < 2; ++port) {
    const auto added = hear();
    ASSERT_TRUE(added);
    EXPECT_EQ(std::pair(added->port, added->event), (std::pair{port, uint16_t{kPortAdd}}));
  }
  tell(0, kPortReady, 1);
  EXPECT_EQ(hear()->event, kConsolePort);
  const auto name = hear();
  EXPECT_EQ(name->event, kPortName);
  EXPECT_EQ(name->text, "console");
  EXPECT_EQ(hear()->event, kPortOpen);
  tell(1, kPortReady, 1);
  EXPECT_EQ(hear()->text, "agent") << "a stream is no console";
}

TEST_F(ConsoleTest, TakesOutputOfEachPort) {
  EXPECT_EQ(driver_->send(kTransmit0, {driver_->fill("hello "), driver_->fill("there")}), 0u);
  EXPECT_EQ(driver_->send(kTransmit1, {driver_->fill(std::string(10000, 'x'))}), 0u);
  EXPECT_EQ(output_[0].text, "hello there");
  EXPECT_EQ(output_[1].text, std::string(10000, 'x'));
}

TEST_F(ConsoleTest, KeepsInputUntilTheGuestHasOpenedThePort) {
  EXPECT_EQ(type(1, "early"), 5u);
  const auto buffer = driver_->room(64);
  driver_->offer(kReceive1, {buffer});
  driver_->notify(kReceive1);
  EXPECT_FALSE(driver_->used(kReceive1));
  open(1);
  EXPECT_EQ(driver_->used(kReceive1), 5u);
  EXPECT_EQ(driver_->text(buffer, 5), "early");
}

TEST_F(ConsoleTest, GivesInputPieceByPiece) {
  open(1);
  const auto a = driver_->room(3), b = driver_->room(64);
  driver_->offer(kReceive1, {a});
  driver_->offer(kReceive1, {b});
  type(1, "abcdefg");
  EXPECT_EQ(driver_->used(kReceive1), 3u);
  EXPECT_EQ(driver_->used(kReceive1), 4u);
  EXPECT_EQ(driver_->text(a, 3) + driver_->text(b, 4), "abcdefg");
  EXPECT_TRUE(driver_->line());
}

TEST_F(ConsoleTest, HoldsSoMuchForAGuestThatDoesNotReadAndTellsWhenThereIsRoom) {
  console_->set_on_room(1, [this] { ++told_; });
  open(1);
  const std::string much(Console::kInputLimit + 1000, 'y');
  EXPECT_EQ(type(1, much), Console::kInputLimit);
  EXPECT_EQ(type(1, "more"), 0u);
  EXPECT_EQ(told_, 0);
  EXPECT_EQ(driver_->send(kReceive1, {driver_->room(100)}), 100u);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(type(1, much), 100u);
}

TEST_F(ConsoleTest, TellsTheSizeOfTheTerminal) {
  introduce();
  console_->resize(0, 24, 80);
  const auto message = hear();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->event, kResize);
  EXPECT_EQ(message->port, 0u);
  EXPECT_EQ(message->text, std::string("\x18\0\x50\0", 4)) << "rows, then columns";
  console_->resize(1, 24, 80);
  EXPECT_FALSE(hear()) << "a stream has no size";
}

TEST_F(ConsoleTest, ASizeFromBeforeTheGuestsDriverIsToldOnceItIsThere) {
  driver_->write(DeviceDriver::kStatus, 0);
  console_->resize(0, 50, 132);
  restart();
  EXPECT_FALSE(hear()) << "the port is not ready";
  tell(0, kPortReady, 1);
  std::vector<uint16_t> events;
  std::string size;
  while (const auto message = hear()) {
    events.push_back(message->event);
    if (message->event == kResize) size = message->text;
  }
  EXPECT_EQ(events, (std::vector<uint16_t>{kConsolePort, kPortName, kPortOpen, kResize}));
  EXPECT_EQ(size, std::string("\x32\0\x84\0", 4));
}

TEST_F(ConsoleTest, OfSizesThatTheGuestDidNotHearTheLastCounts) {
  introduce();
  for (uint16_t rows = 1; rows <= 1000; ++rows) console_->resize(0, rows, 80);
  EXPECT_EQ(hear()->text, std::string("\x01\0\x50\0", 4)) << "it had a buffer";
  EXPECT_EQ(hear()->text, std::string("\xe8\x03\x50\0", 4));
  EXPECT_FALSE(hear());
}

TEST_F(ConsoleTest, EachConsoleHasItsOwnSize) {
  auto device = std::make_unique<Console>(
      std::vector<Console::PortSpec>{{"first", true, nullptr}, {"second", true, nullptr}});
  console_ = device.get();
  driver_ = std::make_unique<DeviceDriver>(std::move(device));
  restart();
  tell(0, kPortReady, 1);
  tell(1, kPortReady, 1);
  console_->resize(0, 1, 2);
  console_->resize(1, 3, 4);
  std::vector<std::pair<uint32_t, std::string>> sizes;
  while (const auto message = hear()) {
    if (message->event == kResize) sizes.emplace_back(message->port, message->text);
  }
  EXPECT_EQ(sizes, (std::vector<std::pair<uint32_t, std::string>>{
                       {0, std::string("\1\0\2\0", 4)}, {1, std::string("\3\0\4\0", 4)}}));
}

TEST_F(ConsoleTest, AGuestThatAsksButDoesNotHearCostsNoMemory) {
  for (int i = 0; i < 10000; ++i) tell(0, kDeviceReady, 1);
  size_t waiting = 0;
  while (hear()) ++waiting;
  EXPECT_EQ(waiting, 256u);
}

TEST_F(ConsoleTest, ADriverThatFailedIsToldNothing) {
  tell(0, kDeviceReady, 0);
  tell(0, kPortReady, 0);
  EXPECT_FALSE(hear());
}

TEST_F(ConsoleTest, WithoutMultiportTheFirstPortIsOpenAndTheOnlyOne) {
  restart(kFeatureVersion1);
  const auto buffer = driver_->room(64);
  driver_->offer(kReceive0, {buffer});
  EXPECT_EQ(type(0, "plain"), 5u);
  EXPECT_EQ(driver_->used(kReceive0), 5u);
  EXPECT_EQ(driver_->send(kTransmit0, {driver_->fill("out")}), 0u);
  EXPECT_EQ(output_[0].text, "out");
  EXPECT_FALSE(tell(0, kDeviceReady, 1)) << "there is no control queue";
  EXPECT_FALSE(driver_->send(kTransmit1, {driver_->fill("lost")}));
  EXPECT_EQ(output_[1].text, "");
}

TEST_F(ConsoleTest, APortThatTheGuestClosesGetsNoMoreUntilItOpensAgain) {
  open(1);
  EXPECT_EQ(driver_->send(kReceive1, {driver_->room(8)}), std::nullopt);
  tell(1, kPortOpen, 0);
  EXPECT_EQ(type(1, "later"), 5u);
  EXPECT_FALSE(driver_->used(kReceive1));
  open(1);
  EXPECT_EQ(driver_->used(kReceive1), 5u);
}

TEST_F(ConsoleTest, InputFromBeforeTheGuestsDriverIsKept) {
  driver_->write(DeviceDriver::kStatus, 0);
  EXPECT_EQ(type(1, "early"), 5u);
  restart();  // which resets the device first
  open(1);
  EXPECT_EQ(driver_->send(kReceive1, {driver_->room(64)}), 5u);
}

TEST_F(ConsoleTest, AResetMakesRoomAndTells) {
  console_->set_on_room(1, [this] { ++told_; });
  open(1);
  EXPECT_EQ(type(1, std::string(Console::kInputLimit + 1, 'y')), Console::kInputLimit);
  EXPECT_EQ(type(1, ""), 0u);
  driver_->write(DeviceDriver::kStatus, 0);
  EXPECT_EQ(told_, 1) << "whoever waits for room would wait for ever";
  driver_->write(DeviceDriver::kStatus, 0);
  EXPECT_EQ(told_, 1);
}

TEST_F(ConsoleTest, RoomIsToldOnceForEachTimeThatItWasFull) {
  console_->set_on_room(1, [this] { ++told_; });
  open(1);
  type(1, std::string(Console::kInputLimit + 1, 'y'));
  type(1, "");  // takes nothing, and is no sign of room
  driver_->send(kReceive1, {driver_->room(8)});
  EXPECT_EQ(told_, 1);
  driver_->send(kReceive1, {driver_->room(8)});
  EXPECT_EQ(told_, 1);
}

TEST_F(ConsoleTest, IgnoresMessagesThatMakeNoSense) {
  EXPECT_EQ(tell(7, kPortReady, 1), 0u);
  EXPECT_EQ(tell(2, kPortOpen, 1), 0u) << "the first that there is not";
  EXPECT_EQ(tell(~0u, kPortOpen, 1), 0u);
  EXPECT_EQ(tell(0, 999, 1), 0u);
  EXPECT_EQ(driver_->send(kControlOut, {driver_->fill("tiny")}), 0u);
  EXPECT_FALSE(hear());
  EXPECT_FALSE(driver_->broken());
}

TEST_F(ConsoleTest, ABadBufferBreaksTheDeviceAndInputGoesNowhere) {
  open(1);
  driver_->offer(kReceive1, {{0x40000000, 16, true}});
  EXPECT_EQ(type(1, "x"), 1u);
  EXPECT_TRUE(driver_->broken());
  driver_->write(DeviceDriver::kInterruptAck, ~0u);
  EXPECT_EQ(type(1, "y"), 1u);
  console_->resize(0, 24, 80);
  EXPECT_FALSE(driver_->line()) << "told once, and not looked at again";
  restart();
  EXPECT_FALSE(driver_->broken());
  open(1);
  EXPECT_FALSE(driver_->send(kReceive1, {driver_->room(16)})) << "a reset forgets old input";
}

TEST_F(ConsoleTest, ABadControlBufferSilencesTheHostsSideToo) {
  introduce();
  EXPECT_FALSE(driver_->send(kControlOut, {{0x40000000, 8, false}}));
  ASSERT_TRUE(driver_->broken());
  driver_->write(DeviceDriver::kInterruptAck, ~0u);
  console_->resize(0, 24, 80);
  EXPECT_FALSE(driver_->used(kControlIn));
  EXPECT_FALSE(driver_->line());
}

TEST_F(ConsoleTest, BuffersWithoutRoomTakeNothingAndLoseNothing) {
  open(1);
  driver_->offer(kReceive1, {driver_->fill("only to read")});
  const auto buffer = driver_->room(8);
  driver_->offer(kReceive1, {buffer});
  type(1, "kept");
  EXPECT_EQ(driver_->used(kReceive1), 0u);
  EXPECT_EQ(driver_->used(kReceive1), 4u);
  EXPECT_EQ(driver_->text(buffer, 4), "kept");
}

TEST_F(ConsoleTest, APortWithoutAnOutputSwallows) {
  DeviceDriver driver(
      std::make_unique<Console>(std::vector<Console::PortSpec>{{"null", true, nullptr}}));
  driver.start(4, kFeatureVersion1 | kMultiport);
  EXPECT_EQ(driver.send(kTransmit0, {driver.fill("into the dark")}), 0u);
}

TEST_F(ConsoleTest, ARestoredConsoleKeepsItsPortsAndWhatNobodyHasReadYet) {
  introduce();
  open(1);
  type(1, "before");
  auto device = std::make_unique<Console>(std::vector<Console::PortSpec>{
      {"console", true, &output_[0]}, {"agent", false, &output_[1]}});
  console_ = device.get();
  ASSERT_TRUE(driver_->go_on_with(std::move(device), driver_->state()));
  const auto buffer = driver_->room(64);
  EXPECT_EQ(driver_->send(kReceive1, {buffer}), 6u);
  EXPECT_EQ(driver_->text(buffer, 6), "before");
  driver_->offer(kReceive1, {driver_->room(64)});
  type(1, "after");
  EXPECT_EQ(driver_->used(kReceive1), 5u);
  driver_->send(kTransmit1, {driver_->fill("answer")});
  EXPECT_EQ(output_[1].text, "answer");
}

TEST_F(ConsoleTest, WhatTheNewHostHasPushedComesBehindWhatTheOldOneHad) {
  introduce();
  type(1, "old ");
  const auto state = driver_->state();
  auto device = std::make_unique<Console>(std::vector<Console::PortSpec>{
      {"console", true, &output_[0]}, {"agent", false, &output_[1]}});
  console_ = device.get();
  type(1, "new");
  ASSERT_TRUE(driver_->go_on_with(std::move(device), state));
  open(1);
  const auto buffer = driver_->room(64);
  EXPECT_EQ(driver_->send(kReceive1, {buffer}), 7u);
  EXPECT_EQ(driver_->text(buffer, 7), "old new");
}

TEST_F(ConsoleTest, WhileItIsHeldItLeavesGuestMemoryAlone) {
  introduce();
  open(1);
  const auto buffer = driver_->room(64);
  driver_->offer(kReceive1, {buffer});
  driver_->transport().hold();
  EXPECT_EQ(type(1, "later"), 5u);
  EXPECT_FALSE(driver_->used(kReceive1));
  driver_->transport().go_on();
  EXPECT_EQ(driver_->used(kReceive1), 5u);
  EXPECT_EQ(driver_->text(buffer, 5), "later");
}

}  // namespace
}  // namespace husk::virtio
