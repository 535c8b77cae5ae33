// The status flags, kept as the host's own LAHF and SETO leave them and unpacked into RFLAGS only
// when somebody asks: the instruction that sets them runs on the host, so every bit, the undefined
// ones too, is what a processor gives.
#pragma once

#include <cstdint>

namespace husk::soft::interp {

// AX after LAHF; SETO AL: bit 0 OF, bit 8 CF, 10 PF, 12 AF, 14 ZF, 15 SF.
using Status = uint16_t;

constexpr Status kStOf = 1u << 0, kStCf = 1u << 8, kStPf = 1u << 10, kStAf = 1u << 12;
constexpr Status kStZf = 1u << 14, kStSf = 1u << 15;

constexpr uint64_t kCf = 1u << 0, kPf = 1u << 2, kAf = 1u << 4, kZf = 1u << 6, kSf = 1u << 7;
constexpr uint64_t kTf = 1u << 8, kIf = 1u << 9, kDf = 1u << 10, kOf = 1u << 11;
constexpr uint64_t kIopl = 3u << 12, kNt = 1u << 14, kRf = 1u << 16, kVm = 1u << 17, kAc = 1u << 18;
constexpr uint64_t kVif = 1u << 19, kVip = 1u << 20, kId = 1u << 21;
constexpr uint64_t kStatusFlags = kCf | kPf | kAf | kZf | kSf | kOf;

constexpr uint64_t status_to_rflags(Status status) {
  return (status >> 8 & (kCf | kPf | kAf | kZf | kSf)) | ((status & kStOf) != 0 ? kOf : 0);
}
constexpr Status rflags_to_status(uint64_t rflags) {
  return static_cast<Status>((rflags & (kCf | kPf | kAf | kZf | kSf)) << 8 |
                             ((rflags & kOf) != 0 ? kStOf : 0));
}

// The sixteen conditions of Jcc, SETcc and CMOVcc by their encoding.
template <int cc>
[[gnu::always_inline]] inline bool condition(Status st) {
  constexpr int kind = cc >> 1;
  bool result = false;
  if constexpr (kind == 0) result = (st & kStOf) != 0;
  if constexpr (kind == 1) result = (st & kStCf) != 0;
  if constexpr (kind == 2) result = (st & kStZf) != 0;
  if constexpr (kind == 3) result = (st & (kStCf | kStZf)) != 0;
  if constexpr (kind == 4) result = (st & kStSf) != 0;
  if constexpr (kind == 5) result = (st & kStPf) != 0;
  if constexpr (kind == 6) result = ((st >> 15 ^ st) & 1) != 0;
  if constexpr (kind == 7) result = ((st >> 15 ^ st) & 1) != 0 || (st & kStZf) != 0;
  return (cc & 1) != 0 ? !result : result;
}

}  // namespace husk::soft::interp
