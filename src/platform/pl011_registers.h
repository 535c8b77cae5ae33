// The PL011's registers and their bits (Arm DDI 0183G, chapter 3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace husk::platform::pl011 {

// Offsets, table 3-1.
enum Register : uint64_t {
  kDr = 0x00,
  kRsrEcr = 0x04,
  kFr = 0x18,
  kIlpr = 0x20,
  kIbrd = 0x24,
  kFbrd = 0x28,
  kLcrH = 0x2c,
  kCr = 0x30,
  kIfls = 0x34,
  kImsc = 0x38,
  kRis = 0x3c,
  kMis = 0x40,
  kIcr = 0x44,
  kDmacr = 0x48,
  kIds = 0xfe0,
};
constexpr uint16_t kDrOverrun = 1 << 11, kRsrOverrun = 1 << 3;
constexpr uint16_t kFrCts = 1 << 0, kFrDsr = 1 << 1, kFrCarrier = 1 << 2, kFrBusy = 1 << 3,
                   kFrReceiveEmpty = 1 << 4, kFrTransmitFull = 1 << 5, kFrReceiveFull = 1 << 6,
                   kFrTransmitEmpty = 1 << 7, kFrRing = 1 << 8;
constexpr uint8_t kLcrFifo = 1 << 4;
constexpr uint16_t kCrEnable = 1 << 0, kCrLoopback = 1 << 7, kCrTransmit = 1 << 8,
                   kCrReceive = 1 << 9, kCrDtr = 1 << 10, kCrRts = 1 << 11, kCrOut1 = 1 << 12,
                   kCrOut2 = 1 << 13, kCrKept = 0xff87;
constexpr uint16_t kIntRing = 1 << 0, kIntCts = 1 << 1, kIntCarrier = 1 << 2, kIntDsr = 1 << 3,
                   kIntReceive = 1 << 4, kIntTransmit = 1 << 5, kIntTimeout = 1 << 6,
                   kIntOverrun = 1 << 10, kIntAll = 0x7ff;
constexpr uint8_t kIflsKept = 0x3f, kDmacrKept = 7, kFbrdKept = 0x3f;

constexpr size_t kFifoSize = 16;  // of revisions before r1p5

// UARTPeriphID: part 0x011, designer 0x41 (Arm), revision 2; UARTPCellID: 0xb105f00d. A byte in
// each word (3.3.16 to 3.3.23).
constexpr std::array<uint8_t, 8> kIdentification{0x11, 0x10, 0x24, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace husk::platform::pl011
