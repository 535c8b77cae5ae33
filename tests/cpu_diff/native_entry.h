// The assembly side of the native engine: the frame it loads from, the way in, and the way out of a
// signal.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace husk::cpu_diff {

// Offsets are known to native_entry.cc.
struct NativeFrame {
  alignas(64) std::array<uint8_t, 512> fx;
  std::array<uint64_t, 16> gpr;
  uint64_t rflags;
  uint64_t rip;
  uint64_t fs_base, gs_base;  // of the case: in, and after it, out
  uint64_t host_fs, host_gs, host_rsp;
  uint64_t swap_bases;  // whether the FSGSBASE instructions are there
  uint64_t has_upper;   // whether YMM registers are
  uint64_t unused;
  std::array<uint8_t, 256> upper;
};
static_assert(offsetof(NativeFrame, gpr) == 512 && offsetof(NativeFrame, rflags) == 640);
static_assert(offsetof(NativeFrame, swap_bases) == 640 + 7 * 8);
static_assert(offsetof(NativeFrame, upper) == 640 + 10 * 8);

}  // namespace husk::cpu_diff

extern "C" {
extern husk::cpu_diff::NativeFrame husk_native_frame __attribute__((visibility("hidden")));
// Loads the frame and jumps to its RIP; comes back once a signal handler resumed at
// husk_native_resume with RSP set to the frame's host_rsp.
void husk_native_enter();
void husk_native_resume();
// The handler to install: gives the host its FS base back, then calls husk_native_signal.
void husk_native_signal_entry();
void husk_native_signal(int number, void* info, void* context);
}
