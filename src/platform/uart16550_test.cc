#include "platform/uart16550.h"

#include <gtest/gtest.h>

#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

class Uart : public ::testing::Test {
 protected:
  static constexpr uint64_t kData = 0, kIer = 1, kIir = 2, kFcr = 2, kLcr = 3, kMcr = 4, kLsr = 5,
                            kMsr = 6, kScratch = 7;
  uint64_t in(uint64_t reg) { return uart.read(reg, 1); }
  void out(uint64_t reg, uint64_t value) { uart.write(reg, 1, value); }
  size_t type(std::string_view text) { return uart.push(std::as_bytes(std::span(text))); }
  void enable_fifo() { out(kFcr, 1); }
  void open_interrupts(uint8_t enable) {
    out(kMcr, 8);  // OUT2
    out(kIer, enable);
  }

  testing::LineRecorder line;
  testing::ByteRecorder output;
  Uart16550 uart{line.line(), output};
};

TEST_F(Uart, SendsAtOnceAndIsAlwaysReady) {
  for (const char c : std::string_view("hi\n")) {
    EXPECT_EQ(in(kLsr) & 0x60, 0x60u);
    out(kData, static_cast<uint8_t>(c));
  }
  EXPECT_EQ(output.text, "hi\n");
}

TEST_F(Uart, ReceivesInOrderAndSaysWhenThereIsNothing) {
  enable_fifo();
  EXPECT_EQ(type("ab"), 2u);
  EXPECT_EQ(in(kLsr) & 1, 1u);
  EXPECT_EQ(in(kData), 'a');
  EXPECT_EQ(in(kData), 'b');
  EXPECT_EQ(in(kLsr) & 1, 0u);
  EXPECT_EQ(in(kData), 0u);
}

TEST_F(Uart, TakesSixteenBytesAndTellsWhenThereIsRoom) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  enable_fifo();
  EXPECT_EQ(type("0123456789abcdefXYZ"), 16u);
  EXPECT_EQ(type("X"), 0u);
  EXPECT_EQ(told, 0);
  EXPECT_EQ(in(kData), '0');
  EXPECT_EQ(told, 1);
  EXPECT_EQ(type("X"), 1u);
  in(kData);
  EXPECT_EQ(told, 1) << "nothing was refused";
}

TEST_F(Uart, ClearingTheFifoMakesRoomToo) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  enable_fifo();
  EXPECT_EQ(type("0123456789abcdefX"), 16u);
  out(kFcr, 3);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(in(kLsr) & 1, 0u);
  EXPECT_EQ(type("X"), 1u);
}

TEST_F(Uart, HookMayPushFromWithin) {
  uart.set_on_room([&] { type("!"); });
  EXPECT_EQ(type("ab"), 1u);
  EXPECT_EQ(in(kData), 'a');
  EXPECT_EQ(in(kData), '!');
}

TEST_F(Uart, WithoutFifoThereIsOneRegister) {
  EXPECT_EQ(type("ab"), 1u);
  EXPECT_EQ(type("b"), 0u);
  EXPECT_EQ(in(kData), 'a');
  EXPECT_EQ(type("b"), 1u);
  out(kFcr, 1);
  EXPECT_EQ(in(kLsr) & 1, 0u) << "a change of mode empties it";
}

TEST_F(Uart, BelowItsTriggerTheFifoTimesOut) {
  out(kIer, 1);
  for (const auto& [bits, level] : {std::pair{0, 1}, {1, 4}, {2, 8}, {3, 14}}) {
    out(kFcr, static_cast<uint64_t>(bits << 6 | 3));
    for (int i = 1; i < level; ++i) {
      type("x");
      EXPECT_EQ(in(kIir), 0xccu) << level;
    }
    type("x");
    EXPECT_EQ(in(kIir), 0xc4u) << level;
    in(kData);
    EXPECT_EQ(in(kIir), level == 1 ? 0xc1u : 0xccu) << level;
  }
}

TEST_F(Uart, FifoBitsNeedTheEnableBit) {
  out(kFcr, 0xc0);
  out(kIer, 1);
  type("x");
  EXPECT_EQ(in(kIir), 4u);
  out(kFcr, 2);
  EXPECT_EQ(in(kLsr) & 1, 1u) << "nor does it clear";
}

TEST_F(Uart, InterruptsForInputWhileThereIsSome) {
  open_interrupts(1);
  EXPECT_FALSE(line.level());
  type("x");
  EXPECT_TRUE(line.level());
  EXPECT_EQ(in(kIir) & 0xf, 4u);
  in(kData);
  EXPECT_FALSE(line.level());
  EXPECT_EQ(in(kIir) & 0xf, 1u);
}

TEST_F(Uart, Out2GatesTheLine) {
  open_interrupts(1);
  out(kMcr, 0);
  type("x");
  EXPECT_FALSE(line.level());
  out(kMcr, 8);
  EXPECT_TRUE(line.level());
}

TEST_F(Uart, TransmitterInterruptIsRaisedByEnablingAndClearedByIir) {
  open_interrupts(2);
  EXPECT_TRUE(line.level());
  EXPECT_EQ(in(kIir) & 0xf, 2u);
  EXPECT_FALSE(line.level());
  out(kData, 'x');
  EXPECT_TRUE(line.level());
}

TEST_F(Uart, InputComesBeforeTheTransmitter) {
  open_interrupts(3);
  type("x");
  EXPECT_EQ(in(kIir) & 0xf, 4u);
  in(kData);
  EXPECT_EQ(in(kIir) & 0xf, 2u);
}

TEST_F(Uart, LoopbackKeepsBytesInside) {
  out(kMcr, 0x10);
  out(kData, 'z');
  EXPECT_EQ(output.text, "");
  EXPECT_EQ(in(kData), 'z');
  out(kMcr, 0x10 | 0x0a);  // RTS and OUT2 come back as CTS and DCD
  EXPECT_EQ(in(kMsr) & 0xf0, 0x90u);
}

TEST_F(Uart, LoopbackCutsTheLineOff) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  enable_fifo();
  open_interrupts(1);
  out(kMcr, 0x18);
  EXPECT_EQ(type("x"), 0u);
  out(kData, 'z');
  EXPECT_EQ(in(kIir) & 0xf, 4u) << "the interrupt works";
  EXPECT_FALSE(line.level()) << "its pin does not";
  EXPECT_EQ(told, 0);
  out(kMcr, 8);
  EXPECT_TRUE(line.level());
  EXPECT_EQ(told, 1);
  EXPECT_EQ(type("x"), 1u);
}

TEST_F(Uart, ModemChangesAreNotedAndInterruptLast) {
  EXPECT_EQ(in(kMsr), 0xb0u);
  out(kMcr, 0x10);
  EXPECT_EQ(in(kMsr), 0x0bu) << "carrier, DSR and CTS went";
  EXPECT_EQ(in(kMsr), 0u) << "and are told once";
  out(kMcr, 0x14);
  EXPECT_EQ(in(kMsr), 0x40u) << "the ring's begin is not noted";
  out(kMcr, 0x10);
  out(kIer, 0x0a);
  EXPECT_EQ(in(kIir) & 0xf, 2u);
  EXPECT_EQ(in(kIir) & 0xf, 0u);
  EXPECT_EQ(in(kMsr), 0x04u) << "its end is";
  EXPECT_EQ(in(kIir) & 0xf, 1u);
}

TEST_F(Uart, OverrunInLoopbackIsToldOnceAndFirst) {
  out(kMcr, 0x10);
  enable_fifo();
  for (char c = 'a'; c < 'a' + 17; ++c) out(kData, static_cast<uint8_t>(c));
  out(kIer, 7);
  EXPECT_EQ(in(kIir) & 0xf, 6u);
  EXPECT_EQ(in(kLsr) & 2, 2u);
  EXPECT_EQ(in(kLsr) & 2, 0u);
  for (char c = 'a'; c < 'a' + 16; ++c) EXPECT_EQ(in(kData), static_cast<uint8_t>(c));
  EXPECT_EQ(in(kLsr) & 1, 0u) << "the seventeenth is lost";
}

TEST_F(Uart, OverrunWithoutFifoKeepsTheLast) {
  out(kMcr, 0x10);
  out(kData, 'a');
  EXPECT_EQ(in(kLsr) & 3, 1u);
  out(kData, 'b');
  EXPECT_EQ(in(kLsr) & 3, 3u);
  EXPECT_EQ(in(kData), 'b');
}

TEST_F(Uart, DivisorLatchHidesDataAndEnables) {
  out(kIer, 5);
  out(kLcr, 0x83);
  out(kData, 0x34);
  out(kIer, 0x12);
  EXPECT_EQ(in(kData), 0x34u);
  EXPECT_EQ(in(kIer), 0x12u);
  out(kLcr, 0x03);
  EXPECT_EQ(in(kIer), 5u);
  EXPECT_EQ(output.text, "");
}

TEST_F(Uart, FifosAreToldAndCleared) {
  EXPECT_EQ(in(kIir) & 0xc0, 0u);
  out(kFcr, 1);
  EXPECT_EQ(in(kIir) & 0xc0, 0xc0u);
  type("abc");
  out(kFcr, 3);
  EXPECT_EQ(in(kLsr) & 1, 0u);
}

TEST_F(Uart, ScratchKeepsAndReservedBitsDoNot) {
  out(kScratch, 0xa5);
  EXPECT_EQ(in(kScratch), 0xa5u);
  out(kIer, 0xff);
  EXPECT_EQ(in(kIer), 0x0fu);
  out(kMcr, 0xff);
  EXPECT_EQ(in(kMcr), 0x1fu);
}

TEST_F(Uart, WiderAccesses) {
  uart.write(kLcr, 2, 0x0803);  // LCR and MCR
  EXPECT_EQ(in(kLcr), 3u);
  EXPECT_EQ(in(kMcr), 8u);
  EXPECT_EQ(uart.read(kLcr, 2), 0x0803u);
}

TEST_F(Uart, ARestoredPortKeepsItsRegistersAndWhatItHasReceived) {
  enable_fifo();
  open_interrupts(1);
  out(kScratch, 0x5a);
  type("abc");
  EXPECT_EQ(in(kData), 'a');
  Uart16550 other(line.line(), output);
  ASSERT_TRUE(testing::copy_state(uart, other));
  EXPECT_EQ(other.read(kScratch, 1), 0x5au);
  EXPECT_EQ(other.read(kIer, 1), 1u);
  EXPECT_EQ(other.read(kData, 1), 'b');
  EXPECT_EQ(other.read(kData, 1), 'c');
  EXPECT_FALSE(line.level());
}

}  // namespace
}  // namespace husk::platform
