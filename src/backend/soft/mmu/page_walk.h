// The page-table walk: 4-level, PAE and 32-bit paging (Intel SDM vol. 3, chapter 4), with accessed
// and dirty bits set by compare-and-swap, as another vCPU may walk or edit the same tables.
#pragma once

#include <cstdint>
#include <variant>

#include "backend/soft/mmu/physical_map.h"

namespace husk::soft::mmu {

enum class Access : uint8_t { kRead, kWrite, kFetch };

// The registers that decide how a walk goes.
struct PagingState {
  uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
};

// Error-code bits of #PF.
constexpr uint32_t kPfPresent = 1, kPfWrite = 2, kPfUser = 4, kPfReserved = 8, kPfFetch = 16;

struct Translation {
  uint64_t gpa = 0;       // of the very byte that was asked for
  bool user = false;      // the page is a user page
  bool writable = false;  // may the same accessor write through it now, its dirty bit being set?
  uint8_t shift = 12;     // of the page's size: more for 2 MiB, 4 MiB and 1 GiB pages
  bool global = false;    // the G bit, which counts only with CR4.PGE
};

struct PageFault {
  uint32_t error_code = 0;
};

// `user` is the privilege of the access; `ac_override` is EFLAGS.AC for an explicit supervisor
// access (SMAP). The linear address is canonical and, outside 64-bit mode, below 4 GiB. With paging
// off it is the identity.
[[nodiscard]] std::variant<Translation, PageFault> walk(const PhysicalMap& memory,
                                                        const PagingState& paging, uint64_t linear,
                                                        Access access, bool user, bool ac_override);

}  // namespace husk::soft::mmu
