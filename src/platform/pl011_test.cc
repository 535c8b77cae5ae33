#include "platform/pl011.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

class Pl011Port : public ::testing::Test {
 protected:
  static constexpr uint64_t kDr = 0x00, kRsr = 0x04, kFr = 0x18, kIlpr = 0x20, kIbrd = 0x24,
                            kFbrd = 0x28, kLcrH = 0x2c, kCr = 0x30, kIfls = 0x34, kImsc = 0x38,
                            kRis = 0x3c, kMis = 0x40, kIcr = 0x44, kDmacr = 0x48;
  static constexpr uint64_t kBusy = 0x08, kReceiveEmpty = 0x10, kTransmitFull = 0x20,
                            kReceiveFull = 0x40, kTransmitEmpty = 0x80;
  static constexpr uint64_t kReceive = 0x10, kTransmit = 0x20, kTimeout = 0x40, kOverrun = 0x400;
  static constexpr uint64_t kOn = 0x301;

  uint64_t in(uint64_t reg) { return uart.read(reg, 4); }
  void out(uint64_t reg, uint64_t value) { uart.write(reg, 4, value); }
  size_t type(std::string_view text) { return uart.push(std::as_bytes(std::span(text))); }
  void enable_fifo() { out(kLcrH, 0x70); }
  void set_receive_level(uint64_t select) { out(kIfls, select << 3 | 2); }

  testing::LineRecorder line;
  testing::ByteRecorder output;
  Pl011 uart{line.line(), output};
};

TEST_F(Pl011Port, LinuxsAmbaBusFindsIt) {
  uint64_t periph = 0, cell = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    periph |= (in(0xfe0 + i * 4) & 0xff) << 8 * i;
    cell |= (in(0xff0 + i * 4) & 0xff) << 8 * i;
  }
  EXPECT_EQ(periph, 0x00241011u);
  EXPECT_EQ(cell, 0xb105f00du);
}

TEST_F(Pl011Port, StartsSwitchedOnAndEmpty) {
  EXPECT_EQ(in(kCr), kOn);
  EXPECT_EQ(in(kFr), 0x97u);
  EXPECT_EQ(in(kIfls), 0x12u);
  for (const uint64_t zero : {kRsr, kIlpr, kIbrd, kFbrd, kLcrH, kImsc, kRis, kMis, kDmacr})
    EXPECT_EQ(in(zero), 0u) << zero;
  EXPECT_FALSE(line.level());
}

TEST_F(Pl011Port, SendsAtOnceAndIsAlwaysReady) {
  for (const char c : std::string_view("hi\n")) {
    EXPECT_EQ(in(kFr) & (kTransmitFull | kTransmitEmpty | kBusy), kTransmitEmpty);
    out(kDr, static_cast<uint8_t>(c));
  }
  EXPECT_EQ(output.text, "hi\n");
}

TEST_F(Pl011Port, ReceivesInOrderAndSaysWhenThereIsNothing) {
  enable_fifo();
  EXPECT_EQ(type("ab"), 2u);
  EXPECT_EQ(in(kFr)&kReceiveEmpty, 0u);
  EXPECT_EQ(in(kDr), 'a');
  EXPECT_EQ(in(kDr), 'b');
  EXPECT_EQ(in(kFr)&kReceiveEmpty, kReceiveEmpty);
  EXPECT_EQ(in(kDr), 0u);
}

TEST_F(Pl011Port, TakesSixteenBytesAndTellsWhenThereIsRoom) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  enable_fifo();
  EXPECT_EQ(type("0123456789abcdefXYZ"), 16u);
  EXPECT_EQ(in(kFr)&kReceiveFull, kReceiveFull);
  EXPECT_EQ(type("X"), 0u);
  EXPECT_EQ(told, 0);
  EXPECT_EQ(in(kDr), '0');
  EXPECT_EQ(told, 1);
  EXPECT_EQ(in(kFr)&kReceiveFull, 0u);
  EXPECT_EQ(type("X"), 1u);
  in(kDr);
  EXPECT_EQ(told, 1) << "nothing was refused";
}

TEST_F(Pl011Port, HookMayPushFromWithin) {
  uart.set_on_room([&] { type("!"); });
  EXPECT_EQ(type("ab"), 1u);
  EXPECT_EQ(in(kDr), 'a');
  EXPECT_EQ(in(kDr), '!');
}

TEST_F(Pl011Port, WithoutFifoThereIsOneRegister) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  EXPECT_EQ(type("ab"), 1u);
  EXPECT_EQ(in(kFr)&kReceiveFull, kReceiveFull);
  EXPECT_EQ(in(kRis), kReceive) << "and no timeout";
  enable_fifo();
  EXPECT_EQ(in(kFr)&kReceiveEmpty, kReceiveEmpty) << "a change of mode empties it";
  EXPECT_EQ(in(kRis), 0u);
  EXPECT_EQ(told, 1);
  out(kLcrH, 0x70 | 8);
  type("c");
  out(kLcrH, 0x70);
  EXPECT_EQ(in(kDr), 'c') << "other changes do not";
}

TEST_F(Pl011Port, ReceiveInterruptAtItsLevel) {
  enable_fifo();
  for (const auto& [select, level] : {std::pair{0, 2}, {1, 4}, {2, 8}, {3, 12}, {4, 14}, {7, 14}}) {
    set_receive_level(static_cast<uint64_t>(select));
    for (int i = 1; i < level; ++i) {
      type("x");
      EXPECT_EQ(in(kRis), kTimeout) << level;
    }
    type("x");
    EXPECT_EQ(in(kRis), kTimeout | kReceive) << level;
    in(kDr);
    EXPECT_EQ(in(kRis), kTimeout) << level;
    while ((in(kFr)&kReceiveEmpty) == 0) in(kDr);
    EXPECT_EQ(in(kRis), 0u) << level;
  }
}

TEST_F(Pl011Port, ReceiveInterruptComesWithTheCrossingOnly) {
  enable_fifo();
  set_receive_level(0);
  type("abc");
  out(kIcr, kReceive | kTimeout);
  EXPECT_EQ(in(kRis), 0u);
  type("d");
  EXPECT_EQ(in(kRis), kTimeout) << "above the level already";
  out(kIcr, kTimeout);
  in(kDr);
  EXPECT_EQ(in(kRis), kTimeout) << "what is left lying times out again";
}

TEST_F(Pl011Port, InterruptsForInputWhileThereIsSome) {
  enable_fifo();
  out(kImsc, kReceive | kTimeout);
  EXPECT_FALSE(line.level());
  type("x");
  EXPECT_TRUE(line.level());
  EXPECT_EQ(in(kMis), kTimeout);
  in(kDr);
  EXPECT_FALSE(line.level());
  EXPECT_EQ(in(kMis), 0u);
}

TEST_F(Pl011Port, MaskGatesTheLineAndNotTheRawStatus) {
  type("x");
  EXPECT_EQ(in(kRis), kReceive);
  EXPECT_EQ(in(kMis), 0u);
  EXPECT_FALSE(line.level());
  out(kImsc, kReceive);
  EXPECT_TRUE(line.level());
  out(kIcr, kReceive);
  EXPECT_FALSE(line.level());
  EXPECT_EQ(in(kFr)&kReceiveEmpty, 0u) << "clearing takes no byte";
}

TEST_F(Pl011Port, ClearingTakesTheNamedInterruptsOnly) {
  enable_fifo();
  type("x");
  out(kDr, 'y');
  EXPECT_EQ(in(kRis), kTimeout | kTransmit);
  out(kIcr, kTimeout);
  EXPECT_EQ(in(kRis), kTransmit);
}

TEST_F(Pl011Port, TransmitInterruptNeedsATransition) {
  out(kImsc, kTransmit);
  EXPECT_FALSE(line.level()) << "an empty transmitter alone raises nothing";
  out(kDr, 'x');
  EXPECT_TRUE(line.level());
  out(kIcr, kTransmit);
  EXPECT_FALSE(line.level());
  out(kDr, 'y');
  EXPECT_TRUE(line.level());
}

TEST_F(Pl011Port, SwitchedOffItHoldsWhatIsWritten) {
  for (const uint64_t off : {uint64_t{0x300}, uint64_t{0x201}}) {
    output.text.clear();
    out(kIcr, 0x7ff);
    out(kCr, off);
    out(kDr, 'a');
    EXPECT_EQ(in(kFr) & (kTransmitFull | kTransmitEmpty | kBusy), kTransmitFull | kBusy);
    out(kDr, 'b');
    EXPECT_EQ(output.text, "");
    EXPECT_EQ(in(kRis), 0u);
    out(kCr, kOn);
    EXPECT_EQ(output.text, "a") << "one register, and it was full";
    EXPECT_EQ(in(kRis), kTransmit);
  }
}

TEST_F(Pl011Port, HeldBytesInTheFifo) {
  enable_fifo();
  out(kDr, '-');
  out(kCr, 0);
  for (int i = 0; i < 8; ++i) out(kDr, 'x');
  EXPECT_EQ(in(kRis), kTransmit);
  EXPECT_EQ(in(kFr) & (kTransmitFull | kTransmitEmpty | kBusy), kBusy);
  out(kDr, 'x');
  EXPECT_EQ(in(kRis), 0u) << "above the level of a half";
  for (int i = 0; i < 20; ++i) out(kDr, 'y');
  EXPECT_EQ(in(kFr) & (kTransmitFull | kBusy), kTransmitFull | kBusy);
  out(kCr, kOn);
  EXPECT_EQ(output.text, "-xxxxxxxxxyyyyyyy");
  out(kCr, 0);
  out(kDr, 'z');
  out(kLcrH, 0);
  out(kCr, kOn);
  EXPECT_EQ(output.text.size(), 17u) << "switching the FIFO off flushes it";
}

TEST_F(Pl011Port, SwitchedOffItTakesNothing) {
  int told = 0;
  uart.set_on_room([&] { ++told; });
  for (const uint64_t off : {uint64_t{0x300}, uint64_t{0x101}}) {
    told = 0;
    out(kCr, off);
    EXPECT_EQ(type("x"), 0u);
    EXPECT_EQ(told, 0);
    out(kCr, kOn);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(type("x"), 1u);
    EXPECT_EQ(in(kDr), 'x');
  }
}

TEST_F(Pl011Port, LoopbackKeepsBytesInside) {
  out(kCr, kOn | 0x80);
  EXPECT_EQ(type("x"), 0u) << "the line is cut off";
  out(kDr, 'z');
  EXPECT_EQ(output.text, "");
  EXPECT_EQ(in(kDr), 'z');
}

TEST_F(Pl011Port, OverrunIsTold) {
  out(kCr, kOn | 0x80);
  out(kDr, 'a');
  out(kDr, 'b');
  EXPECT_EQ(in(kRsr), 8u);
  EXPECT_EQ(in(kRis)&kOverrun, kOverrun);
  EXPECT_EQ(in(kDr), 0x800u | 'a') << "what was there stays";
  EXPECT_EQ(in(kFr)&kReceiveEmpty, kReceiveEmpty);
  out(kDr, 'c');
  EXPECT_EQ(in(kDr), 'c') << "told once";
  EXPECT_EQ(in(kRsr), 8u);
  out(kRsr, 0);
  EXPECT_EQ(in(kRsr), 0u);
  out(kIcr, kOverrun);
  EXPECT_EQ(in(kRis)&kOverrun, 0u);
}

TEST_F(Pl011Port, LoopbackReturnsTheModemOutputs) {
  constexpr uint64_t kLoop = kOn | 0x80, kInputs = 0x107;
  out(kCr, kLoop);
  EXPECT_EQ(in(kFr)&kInputs, 0u);
  EXPECT_EQ(in(kRis), 0x0eu) << "CTS, DCD and DSR went";
  for (const auto& [output_bit, flag, interrupt] :
       {std::tuple{0x800, 1, 2}, {0x400, 2, 8}, {0x1000, 4, 4}, {0x2000, 0x100, 1}}) {
    out(kIcr, 0x7ff);
    out(kCr, kLoop | static_cast<uint64_t>(output_bit));
    EXPECT_EQ(in(kFr)&kInputs, static_cast<uint64_t>(flag));
    EXPECT_EQ(in(kRis), static_cast<uint64_t>(interrupt));
    out(kCr, kLoop);
  }
}

TEST_F(Pl011Port, RegistersKeepTheirBitsAndNoOthers) {
  for (const auto& [reg, kept] : {std::pair{kIlpr, 0xff},
                                  {kIbrd, 0xffff},
                                  {kFbrd, 0x3f},
                                  {kLcrH, 0xff},
                                  {kIfls, 0x3f},
                                  {kImsc, 0x7ff},
                                  {kDmacr, 7},
                                  {kCr, 0xff87}}) {
    out(reg, 0xffff'ffff);
    EXPECT_EQ(in(reg), static_cast<uint64_t>(kept)) << reg;
    out(reg, 0);
    EXPECT_EQ(in(reg), 0u) << reg;
  }
}

TEST_F(Pl011Port, WhatIsReadOnlyStays) {
  for (const uint64_t reg : {kFr, kRis, kMis, uint64_t{0xfe0}, uint64_t{0xffc}}) {
    const uint64_t before = in(reg);
    out(reg, ~before);
    EXPECT_EQ(in(reg), before) << reg;
  }
}

TEST_F(Pl011Port, WhatIsNotThereReadsAsOnes) {
  for (const uint64_t reg : {uint64_t{0x08}, uint64_t{0x14}, kIcr, uint64_t{0x4c}, uint64_t{0xfdc}})
    EXPECT_EQ(in(reg), 0xffff'ffffu) << reg;
  out(0x4c, 1);
}

TEST_F(Pl011Port, AccessesOfEveryWidth) {
  out(kIbrd, 0x1234);
  EXPECT_EQ(uart.read(kIbrd, 1), 0x34u);
  EXPECT_EQ(uart.read(kIbrd + 1, 1), 0x12u);
  EXPECT_EQ(uart.read(kIbrd, 2), 0x1234u);
  EXPECT_EQ(uart.read(kIbrd, 8), 0x1234u) << "not the next register too";
  EXPECT_EQ(uart.read(kIbrd + 3, 1), 0u);
  uart.write(kIbrd + 2, 2, 0xffff);
  EXPECT_EQ(in(kIbrd), 0x1234u) << "the word's upper half is no register";
  uart.write(kDr, 1, 'a');
  uart.write(kDr, 2, 'b');
  uart.write(kDr, 8, 0xffff'ffff'0000'0063);
  EXPECT_EQ(output.text, "abc");
}

TEST(Pl011Threads, ABusyHostAndTwoGuests) {
  struct Nowhere : contract::ByteSink {
    void write(std::span<const std::byte>) override {}
  } nowhere;
  std::atomic<bool> level = false;
  contract::IrqLine irq(
      [](void* to, uint32_t, bool now) { *static_cast<std::atomic<bool>*>(to) = now; }, &level, 0);
  Pl011 uart(irq, nowhere);
  std::atomic<size_t> taken = 0, read = 0;
  uart.set_on_room([&] { taken += uart.push(std::as_bytes(std::span("x", 1))); });
  uart.write(0x2c, 4, 0x10);
  uart.write(0x38, 4, 0x7ff);
  // Long enough for the threads to meet on a busy machine.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  const auto more = [&] { return std::chrono::steady_clock::now() < end; };
  {
    std::vector<std::jthread> threads;
    for (int guest = 0; guest < 2; ++guest)
      threads.emplace_back([&] {
        while (more()) {
          uart.write(0, 4, 'o');
          if ((uart.read(0, 4) & 0xff) != 0) ++read;
        }
      });
    threads.emplace_back([&] {
      while (more()) taken += uart.push(std::as_bytes(std::span("hello", 5)));
    });
  }
  uart.set_on_room({});
  while ((uart.read(0, 4) & 0xff) != 0) ++read;
  EXPECT_EQ(read, taken) << "no byte is lost or read twice";
}

}  // namespace
}  // namespace husk::platform
