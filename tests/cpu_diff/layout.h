// Where a case's code and data are: at the same addresses natively and in the guest, low enough for
// 32-bit and absolute addressing to reach. The pages around the two windows are never mapped.
#pragma once

#include <cstdint>

namespace husk::cpu_diff {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kCode = 0x4000'0000;  // two pages, executable
constexpr uint64_t kCodeSize = 2 * kPage;
constexpr uint64_t kCodeEnd = kCode + kCodeSize;
constexpr uint64_t kData = 0x4001'0000;  // two pages, writable, not executable
constexpr uint64_t kDataSize = 2 * kPage;
constexpr uint64_t kDataEnd = kData + kDataSize;

}  // namespace husk::cpu_diff
