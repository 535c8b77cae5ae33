// What somebody wants of a snapshot of a running machine, and what came of it.
#pragma once

#include <cstdint>

#include "snapshot/location.h"

namespace husk::runtime {

struct CaptureRequest {
  snapshot::Location to;
  bool diff = false;  // only what was written since the machine's last snapshot, which lies beside
  bool live = false;  // memory is copied while the machine runs, and held twice until it is written
  snapshot::WriteOptions write{};
};

struct CaptureReport {
  snapshot::Sha256 id{};
  uint64_t paused_ns = 0;     // the longest time that the guest stood still
  uint64_t memory_bytes = 0;  // of memory in the file, before zeroes are left out
  uint32_t rounds = 0;        // of copying beside the running machine
  uint64_t copied_again = 0;  // pages, in all rounds
};

}  // namespace husk::runtime
