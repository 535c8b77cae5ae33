// One vCPU's software TLB: two direct-mapped tables, one for reads and one for writes, whose tags
// carry the context (address space, privilege, SMAP override) in the bits below the page number. A
// hit is one compare.
//
// Entries of other contexts stay in place across switches; flushing a context is giving it a new
// number. An entry in the write table may be written without further ado: the page is RAM,
// writable, dirty in the page table, logged as dirty and holds no decoded code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "contract/address.h"

namespace husk::soft::mmu {

// Who accesses: the three outcomes of the page tables' rights.
enum class Privilege : uint8_t { kUser = 0, kSupervisor = 1, kSupervisorNoSmap = 2 };

// In the privilege's place in a context that no entry has: every access misses. For alignment
// checks.
constexpr uint32_t kNeverCached = 3;

constexpr uint64_t kContextMask = kPageSize - 1;

struct TlbEntry {
  uint64_t tag = 0;     // linear page | context; 0 never matches, contexts start at 4
  uint64_t addend = 0;  // host address - linear address
};

class Tlb {
 public:
  static constexpr size_t kEntries = 4096;

  static size_t index(uint64_t linear) { return (linear / kPageSize) % kEntries; }

  // The host address of [linear, linear + size), or null: not cached, or it crosses a page.
  [[gnu::always_inline]] std::byte* find(const std::array<TlbEntry, kEntries>& table,
                                         uint64_t linear, size_t size, uint64_t context) const {
    const TlbEntry& entry = table[index(linear)];
    if (entry.tag != (((linear + size - 1) & kPageMask) | context)) return nullptr;
    return reinterpret_cast<std::byte*>(linear + entry.addend);
  }

  void fill_read(uint64_t linear, uint64_t context, std::byte* host_page) {
    read[index(linear)] = entry(linear, context, host_page);
  }
  void fill_write(uint64_t linear, uint64_t context, std::byte* host_page) {
    write[index(linear)] = entry(linear, context, host_page);
    if (writes_filled_ < kRemembered)
      filled_[writes_filled_] = static_cast<uint16_t>(index(linear));
    if (writes_filled_ <= kRemembered) ++writes_filled_;
  }

  void flush_page(uint64_t linear) {
    for (auto* table : {&read, &write}) {
      TlbEntry& entry = (*table)[index(linear)];
      if ((entry.tag & kPageMask) == (linear & kPageMask)) entry = {};
    }
  }
  // Often, and with few of them in the table: each new page of code is a reason.
  void flush_writes() {
    if (writes_filled_ > kRemembered) {
      write.fill({});
    } else {
      for (size_t i = 0; i < writes_filled_; ++i) write[filled_[i]] = {};
    }
    writes_filled_ = 0;
  }
  void flush_all() {
    read.fill({});
    flush_writes();
  }

  std::array<TlbEntry, kEntries> read{};
  std::array<TlbEntry, kEntries> write{};

 private:
  static TlbEntry entry(uint64_t linear, uint64_t context, std::byte* host_page) {
    const uint64_t page = linear & kPageMask;
    return {page | context, reinterpret_cast<uint64_t>(host_page) - page};
  }

  static constexpr size_t kRemembered = 256;
  size_t writes_filled_ = 0;  // since the last flush; one more than are remembered: too many
  std::array<uint16_t, kRemembered> filled_{};
};

// Which regions may have pieces of large pages in the TLB, by hashes. INVLPG anywhere in such a
// page reaches all of its pieces (Intel SDM vol. 3, 4.10.4.1), which the TLB cannot find one by
// one.
class LargePages {
 public:
  // A piece at `linear` of a page of 1 << `shift` bytes.
  void note(uint64_t linear, uint8_t shift) {
    if (shift == kHugeShift) {
      huge_ |= huge_bit(linear);
      return;
    }
    word(linear) |= large_bit(linear);
    const uint64_t other_half = linear ^ uint64_t { 1 } << kLargeShift;
    if (shift > kLargeShift) word(other_half) |= large_bit(other_half);  // 4 MiB
  }
  [[nodiscard]] bool may_hold(uint64_t linear) {
    return (word(linear) & large_bit(linear)) != 0 || (huge_ & huge_bit(linear)) != 0;
  }
  void clear() {
    large_.fill(0);
    huge_ = 0;
  }

 private:
  static constexpr uint8_t kLargeShift = 21, kHugeShift = 30;
  uint64_t& word(uint64_t linear) { return large_[linear >> kLargeShift >> 6 & 15]; }
  static uint64_t large_bit(uint64_t linear) { return uint64_t{1} << (linear >> kLargeShift & 63); }
  static uint64_t huge_bit(uint64_t linear) { return uint64_t{1} << (linear >> kHugeShift & 63); }

  std::array<uint64_t, 16> large_{};
  uint64_t huge_ = 0;
};

// Gives context numbers to address spaces (PCIDs). A number is never reused before the whole TLB is
// flushed.
class ContextAllocator {
 public:
  static constexpr uint32_t kPcids = 4096;

  // The context of `pcid`, without the privilege bits. Sets `wrapped` when numbers ran out: the
  // caller flushes the TLB and everything else keyed by contexts.
  uint32_t context_of(uint32_t pcid, bool& wrapped) {
    if (numbers_[pcid] == 0) {
      if (next_ == kLimit) {
        numbers_.fill(0);
        next_ = 1;
        wrapped = true;
      }
      numbers_[pcid] = next_++;
    }
    return uint32_t{numbers_[pcid]} << 2;
  }
  void forget(uint32_t pcid) { numbers_[pcid] = 0; }
  void forget_all() { numbers_.fill(0); }

 private:
  static constexpr uint16_t kLimit = 1024;  // 10 bits of context number, 2 bits of privilege
  std::array<uint16_t, kPcids> numbers_{};
  uint16_t next_ = 1;
};

}  // namespace husk::soft::mmu
