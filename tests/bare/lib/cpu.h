// Single instructions of operating systems as functions. For guests of both widths.
#pragma once

#include <stdint.h>

namespace bare {

constexpr uint64_t kCr0Pe = 1, kCr0Mp = 2, kCr0Em = 4, kCr0Ts = 8, kCr0Ne = 32, kCr0Wp = 1u << 16,
                   kCr0Am = 1u << 18, kCr0Nw = 1u << 29, kCr0Cd = 1u << 30, kCr0Pg = 1u << 31;
constexpr uint64_t kCr4Tsd = 4, kCr4De = 8, kCr4Pse = 16, kCr4Pae = 32, kCr4Pge = 128,
                   kCr4Osfxsr = 512, kCr4Osxmmexcpt = 1024, kCr4Umip = 2048,
                   kCr4Fsgsbase = 1u << 16, kCr4Pcide = 1u << 17, kCr4Smep = 1u << 20,
                   kCr4Smap = 1u << 21;
constexpr uint64_t kEferSce = 1, kEferLme = 1u << 8, kEferLma = 1u << 10, kEferNxe = 1u << 11;
constexpr uint32_t kMsrEfer = 0xc0000080, kMsrStar = 0xc0000081, kMsrLstar = 0xc0000082,
                   kMsrCstar = 0xc0000083, kMsrFmask = 0xc0000084, kMsrFsBase = 0xc0000100,
                   kMsrGsBase = 0xc0000101, kMsrKernelGsBase = 0xc0000102, kMsrApicBase = 0x1b,
                   kMsrTscDeadline = 0x6e0;
constexpr uint64_t kFlagCf = 1, kFlagPf = 4, kFlagAf = 0x10, kFlagZf = 0x40, kFlagSf = 0x80,
                   kFlagTf = 0x100, kFlagIf = 0x200, kFlagDf = 0x400, kFlagOf = 0x800,
                   kFlagIopl = 0x3000, kFlagNt = 0x4000, kFlagRf = 0x10000, kFlagVm = 0x20000,
                   kFlagAc = 0x40000, kFlagId = 0x200000;

enum Vector : uint8_t {
  kDe = 0,
  kDb = 1,
  kNmi = 2,
  kBp = 3,
  kOf = 4,
  kBr = 5,
  kUd = 6,
  kNm = 7,
  kDf = 8,
  kTs = 10,
  kNp = 11,
  kSs = 12,
  kGp = 13,
  kPf = 14,
  kMf = 16,
  kAc = 17,
  kXm = 19
};

inline uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline uint32_t in32(uint16_t port) {
  uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
inline void out32(uint16_t port, uint32_t value) {
  asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

#define HUSK_BARE_CR(n)                                         \
  inline uintptr_t read_cr##n() {                               \
    uintptr_t value;                                            \
    asm volatile("mov %%cr" #n ", %0" : "=r"(value)::"memory"); \
    return value;                                               \
  }                                                             \
  inline void write_cr##n(uintptr_t value) {                    \
    asm volatile("mov %0, %%cr" #n ::"r"(value) : "memory");    \
  }
HUSK_BARE_CR(0)
HUSK_BARE_CR(2)
HUSK_BARE_CR(3)
HUSK_BARE_CR(4)
#ifdef __x86_64__
HUSK_BARE_CR(8)
#endif
#undef HUSK_BARE_CR

inline uint64_t read_msr(uint32_t index) {
  uint32_t low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return uint64_t{high} << 32 | low;
}
inline void write_msr(uint32_t index, uint64_t value) {
  asm volatile("wrmsr" ::"c"(index), "a"(static_cast<uint32_t>(value)),
               "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}

struct CpuidRegs {
  uint32_t eax, ebx, ecx, edx;
};
inline CpuidRegs cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  CpuidRegs r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}
inline bool has_pcid() { return (cpuid(1).ecx >> 17 & 1) != 0; }
inline bool has_x2apic() { return (cpuid(1).ecx >> 21 & 1) != 0; }
inline bool has_tsc_deadline() { return (cpuid(1).ecx >> 24 & 1) != 0; }
inline bool has_smep() { return (cpuid(7).ebx >> 7 & 1) != 0; }
inline bool has_invpcid() { return (cpuid(7).ebx >> 10 & 1) != 0; }
inline bool has_smap() { return (cpuid(7).ebx >> 20 & 1) != 0; }
inline bool has_umip() { return (cpuid(7).ecx >> 2 & 1) != 0; }
inline bool has_1g_pages() { return (cpuid(0x80000001).edx >> 26 & 1) != 0; }
inline bool is_amd() { return cpuid(0).ebx == 0x68747541; }

inline uintptr_t read_flags() {
  uintptr_t value;
  asm volatile("pushf; pop %0" : "=r"(value));
  return value;
}
inline void write_flags(uintptr_t value) {
  asm volatile("push %0; popf" ::"r"(value) : "cc", "memory");
}
inline void invlpg(uintptr_t address) { asm volatile("invlpg (%0)" ::"r"(address) : "memory"); }
inline uint64_t rdtsc() {
  uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return uint64_t{high} << 32 | low;
}
inline void pause() { asm volatile("pause"); }
inline void disable_interrupts() { asm volatile("cli" ::: "memory"); }
inline void enable_interrupts() { asm volatile("sti" ::: "memory"); }

}  // namespace bare
