#include "registers.h"

namespace husk::runtime {

std::array<uint64_t Registers::*, 16> registers_by_encoding() {
  using R = Registers;
  return {&R::rax, &R::rcx, &R::rdx, &R::rbx, &R::rsp, &R::rbp, &R::rsi, &R::rdi,
          &R::r8,  &R::r9,  &R::r10, &R::r11, &R::r12, &R::r13, &R::r14, &R::r15};
}

}  // namespace husk::runtime
