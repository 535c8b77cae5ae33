// What translated code carries with it: records that lie in the code store, behind the calls that
// use them, so that they come and go with it. They refer to each other by offsets into the store.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/soft/interp/op.h"

namespace husk::soft::jit {

using interp::Block;
using interp::Op;

using Ref = uint32_t;  // an offset into the store; 0: none
constexpr Ref kNowhere = 0;

// Before its code.
struct Translation {
  const Block* block = nullptr;  // null: it is stale, and nothing leads to it
  uint64_t rip = 0;
  Ref entry = kNowhere;          // flags are where the exit says
  Ref entry_loading = kNowhere;  // flags are in HotState::status
  Ref incoming = kNowhere;       // exits that are linked to it, by Exit::next
  Ref next_found = kNowhere;     // that hashes alike
  Ref next_of_page = kNowhere;
  Ref next_of_region = kNowhere;
  bool careful = false;  // each access is checked by itself; only careful exits lead here
};

// A jump to code at a known RIP: at first to the call that this is behind, which leaves translated
// code; once there is code for that RIP straight to it.
struct [[gnu::packed]] Exit {
  uint64_t rip = 0;
  Ref site = kNowhere;       // the jump's field
  Ref from = kNowhere;       // the translation that it is in
  Ref target = kNowhere;     // that it is linked to
  Ref next = kNowhere;       // of the target's
  Ref key_field = kNowhere;  // where the code compares the key of jump entries; none: good for all
  uint8_t links = 0;         // that were made
  bool host_flags = false;   // the guest's flags are in EFLAGS, else in HotState::status
  bool careful = false;      // to a careful translation
  bool backward = false;     // may be part of a loop: attention is polled
};

// An instruction that C++ is called for. Distances are counted from the translation.
struct [[gnu::packed]] Site {
  uint16_t self = 0;        // this record's
  uint16_t again = 0;       // of the code that tries again
  uint16_t next = 0;        // of the code to go on with
  uint16_t first_op = 0;    // of the block
  uint16_t behind = 0;      // where the instruction ends, counted from the block's start
  uint16_t size = 0;        // of the access that missed the TLB
  uint16_t aligned_at = 0;  // what is to be aligned, counted from a span's begin
  uint8_t op_count : 6 = 0;
  bool aligned : 1 = false;  // to its size; a span to 16 bytes
  bool write : 1 = false;
};
constexpr size_t kMostSiteOps = 4;

}  // namespace husk::soft::jit
