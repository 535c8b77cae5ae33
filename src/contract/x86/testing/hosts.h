// Processors as a backend would report them: built for tests, with what such processors have.
#pragma once

#include "contract/x86/cpuid.h"

namespace husk::contract::x86::testing {

constexpr uint32_t bits(std::initializer_list<int> numbers) {
  uint32_t value = 0;
  for (const int n : numbers) value |= uint32_t{1} << n;
  return value;
}

// Every feature there is in leaves 1, 7 and 0x80000001, AVX-512 and AMX with their state, and every
// service of KVM.
inline CpuidTable intel_server() {
  return {
      {0, 0, false, {0x20, 0x756e6547, 0x6c65746e, 0x49656e69}},
      {1, 0, false, {0x000806f8, 0x00400800, 0xf7feffff, 0x1f8bfbff | bits({28})}},
      {2, 0, false, {0x00feff01, 0xf0, 0, 0}},
      {4, 0, true, {0xfc004121, 0x02c0003f, 0x3f, 0}},
      {4, 1, true, {0xfc004122, 0x01c0003f, 0x3f, 0}},
      {4, 2, true, {0xfc01c143, 0x03c0003f, 0x7ff, 0}},
      {6, 0, false, {0x77, 2, 9, 0}},
      {7, 0, true, {2, 0xffffffff, 0xffffffff, 0xffffffff}},
      {7, 1, true, {0x1c30, 0, 0, 0}},
      {7, 2, true, {0, 0, 0, 0x1f}},
      {0xd, 0, true, {0x000602e7, 0x2b00, 0x2b00, 0}},
      {0xd, 1, true, {0x1f, 0x2b00, 0x1900, 0}},
      {0xd, 2, true, {0x100, 0x240, 0, 0}},
      {0xd, 5, true, {0x40, 0x440, 0, 0}},
      {0xd, 6, true, {0x200, 0x480, 0, 0}},
      {0xd, 7, true, {0x400, 0x680, 0, 0}},
      {0xd, 9, true, {8, 0xa80, 0, 0}},
      {0xd, 17, true, {0x40, 0xac0, 2, 0}},
      {0xd, 18, true, {0x2000, 0xb00, 6, 0}},
      {0x14, 0, true, {1, 0x4f, 7, 0}},
      {0x1d, 1, true, {0x04002000, 0x00080040, 0x10, 0}},
      {0x40000000, 0, false, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}},
      {0x40000001, 0, false, {0x0100ffff, 0, 0, 0}},
      {0x80000000, 0, false, {0x80000008, 0, 0, 0}},
      {0x80000001, 0, false, {0, 0, 0x121, bits({11, 20, 26, 27, 29})}},
      {0x80000002, 0, false, {0x65746e49, 0x2952286c, 0x6f655820, 0x2952286e}},
      {0x80000006, 0, false, {0, 0, 0x08007040, 0}},
      {0x80000007, 0, false, {0, 0, 0, 0x100}},
      {0x80000008, 0, false, {0x3934, 0x0200d200, 0, 0}},
  };
}

// As intel_server() with AVX2 and nothing newer, older in everything that has a number, and of
// fewer address bits.
inline CpuidTable intel_older() {
  return {
      {0, 0, false, {0xd, 0x756e6547, 0x6c65746e, 0x49656e69}},
      {1, 0, false, {0x000306c3, 0x00100800, 0xf7fafbff & ~bits({27}), 0x0f8bfbff}},
      {2, 0, false, {0x76036301, 0xf0b5ff, 0, 0x00c10000}},
      {4, 0, true, {0x1c004121, 0x01c0003f, 0x3f, 0}},
      {6, 0, false, {0x4, 0, 0, 0}},
      {7, 0, true, {0, 0x000007ab, 0, 0}},
      {0xd, 0, true, {7, 0x340, 0x340, 0}},
      {0xd, 1, true, {1, 0, 0, 0}},
      {0xd, 2, true, {0x100, 0x240, 0, 0}},
      {0x40000000, 0, false, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}},
      {0x40000001, 0, false, {0x010000fb, 0, 0, 0}},
      {0x80000000, 0, false, {0x80000008, 0, 0, 0}},
      {0x80000001, 0, false, {0, 0, 0x21, bits({11, 20, 26, 27, 29})}},
      {0x80000002, 0, false, {0x65746e49, 0x2952286c, 0x726f4320, 0x4d542865}},
      {0x80000008, 0, false, {0x3027, 0, 0, 0}},
  };
}

// With AMD's own leaves.
inline CpuidTable amd_server() {
  return {
      {0, 0, false, {0x10, 0x68747541, 0x444d4163, 0x69746e65}},
      {1, 0, false, {0x00a10f11, 0x00800800, 0xf7fa3203, 0x178bfbff}},
      {6, 0, false, {0x4, 0, 1, 0}},
      {7, 0, true, {1, 0xf1bf97a9, 0x00405fce, 0x10000010}},
      {7, 1, true, {0x20, 0, 0, 0}},
      {0xd, 0, true, {0x2e7, 0x988, 0x988, 0}},
      {0xd, 1, true, {0xf, 0x358, 0x1800, 0}},
      {0xd, 2, true, {0x100, 0x240, 0, 0}},
      {0xd, 5, true, {0x40, 0x340, 0, 0}},
      {0x40000000, 0, false, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}},
      {0x40000001, 0, false, {0x01007efb, 0, 0, 0}},
      {0x80000000, 0, false, {0x80000028, 0x68747541, 0x444d4163, 0x69746e65}},
      {0x80000001, 0, false, {0x00a10f11, 0x40000000, 0x75c237ff, 0x2fd3fbff}},
      {0x80000002, 0, false, {0x20444d41, 0x43595045, 0x35353920, 0x36392034}},
      {0x80000005, 0, false, {0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140}},
      {0x80000007, 0, false, {0, 0x3b, 0, 0x6799}},
      {0x80000008, 0, false, {0x3934, 0x791ef257, 0x7007, 0x10007}},
      {0x8000001d, 0, true, {0x121, 0x1c0003f, 0x3f, 0}},
      {0x8000001e, 0, false, {0x0, 0x100, 0, 0}},
      {0x80000021, 0, false, {0x6f, 0x15d, 0, 0}},
  };
}

// `table` without these bits.
inline CpuidTable without(CpuidTable table, uint32_t leaf, CpuidRegister reg, uint32_t mask) {
  for (CpuidEntry& entry : table) {
    if (entry.leaf == leaf && entry.subleaf == 0) entry.regs[reg] &= ~mask;
  }
  return table;
}

}  // namespace husk::contract::x86::testing
