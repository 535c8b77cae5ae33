#include "registers.h"

namespace husk::runtime {

std::array<uint64_t Registers::*, 16> registers_by_encoding() {
  using R = Registers;
  return {&R::rax, &R::rcx, &R::rdx, &R::rbx, &R::rsp, &R::rbp, &R::rsi, &R::rdi,
          &R::r8,  &R::r9,  &R::r10, &R::r11, &R::r12, &R::r13, &R::r14, &R::r15};
}

contract::x86::VcpuState flat_state() {
  using namespace contract::x86;  // NOLINT(google-build-using-namespace)
  constexpr uint16_t kFlat =
      kSegPresent | kSegNotSystem | kSegWritable | kSegAccessed | kSegGranular | kSegBig;
  VcpuState state;
  state.segments.fill({0x10, kFlat, 0xffffffff, 0});
  state.segments[kCs] = {8, kFlat | kSegCode, 0xffffffff, 0};
  state.tr = {0x18, kSegPresent | 11, 0x67, 0};  // a busy TSS, as VM entry wants one
  state.cr0 = 0x11;                              // ET PE
  return state;
}

}  // namespace husk::runtime
