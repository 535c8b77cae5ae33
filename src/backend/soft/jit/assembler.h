// Writes x86-64 instructions. Knows encodings (Intel SDM vol. 2, chapter 2), nothing of what is
// translated. An own one, because most of what a translator writes are the guest's instructions
// with other registers, which are an opcode that comes as a number.
#pragma once

#include <cstdint>
#include <cstring>

namespace husk::soft::jit {

enum Reg : uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
constexpr uint8_t kNoReg = 0xff;

struct Mem {
  uint8_t base = kNoReg;  // kNoReg: the displacement alone
  int32_t disp = 0;
  uint8_t index = kNoReg;
  uint8_t scale_log2 = 0;
};

// What stands around the operands.
struct Encoding {
  uint8_t opcode = 0;
  uint8_t map = 0;     // 0 primary, 1 0F, 2 0F38, 3 0F3A
  uint8_t prefix = 0;  // 66, F2, F3 or none
  bool wide = false;   // REX.W
  bool bytes = false;  // byte registers: 4 to 7 are SPL to DIL
  bool lock = false;
  bool vex = false;  // with a VEX prefix, whose other fields these are
  bool vex_256 = false;
  uint8_t vvvv = 0;
};

constexpr Encoding op(uint8_t opcode, bool wide = true) { return {.opcode = opcode, .wide = wide}; }
constexpr Encoding op0f(uint8_t opcode, bool wide = false) {
  return {.opcode = opcode, .map = 1, .wide = wide};
}

// The field of four bytes that a jump's distance goes to.
struct JumpSite {
  uint8_t* field = nullptr;
  void to(const uint8_t* target) const {
    const auto distance = static_cast<int32_t>(target - (field + 4));
    std::memcpy(field, &distance, 4);
  }
};

class Assembler {
 public:
  // The caller sees to the room.
  explicit Assembler(uint8_t* at) : at_(at) {}
  [[nodiscard]] uint8_t* here() const { return at_; }

  void byte(uint8_t value) { *at_++ = value; }
  void dword(uint32_t value) { put(value); }
  void qword(uint64_t value) { put(value); }
  void word(uint16_t value) { put(value); }
  template <class Record>
  void record(const Record& value) {
    put(value);
  }

  // `reg` and `rm` are registers, or the opcode's extension in `reg`.
  void rr(const Encoding& e, uint8_t reg, uint8_t rm);
  void rm(const Encoding& e, uint8_t reg, const Mem& m);

  void mov(uint8_t to, uint8_t from) { rr(op(0x8b), to, from); }
  void mov32(uint8_t to, uint8_t from) { rr(op(0x8b, false), to, from); }
  void load(uint8_t to, const Mem& m) { rm(op(0x8b), to, m); }
  void store(const Mem& m, uint8_t from) { rm(op(0x89), from, m); }
  void lea(uint8_t to, const Mem& m) { rm(op(0x8d), to, m); }
  void mov_imm(uint8_t to, uint64_t value);
  // Group 1 with an immediate: 0 ADD 1 OR 4 AND 5 SUB 6 XOR 7 CMP.
  void alu_imm(uint8_t kind, uint8_t reg, int32_t value, bool wide = true);
  void shift_imm(uint8_t kind, uint8_t reg, uint8_t count, bool wide);

  [[nodiscard]] JumpSite jcc(uint8_t cc);
  [[nodiscard]] JumpSite jmp();
  void jmp_to(const uint8_t* target) { jmp().to(target); }
  void call_to(const uint8_t* target);
  void bind(JumpSite site) const { site.to(at_); }

 private:
  template <class T>
  void put(T value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void vex(const Encoding& e, uint8_t reg, uint8_t index, uint8_t base);
  void head(const Encoding& e, uint8_t reg, uint8_t index, uint8_t base, bool byte_rm);

  uint8_t* at_;
};

}  // namespace husk::soft::jit
