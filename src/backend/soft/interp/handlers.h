// The handlers that lowering chooses from, one getter per family. `log2` is log2 of the operand
// size in bytes.
#pragma once

#include "backend/soft/decode/insn.h"
#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

// Where the operands are: destination first.
enum class Form : uint8_t { kRegReg, kRegImm, kRegMem, kMemReg, kMemImm };

// handlers_alu.cc; rows 0-7 are ADD OR ADC SBB AND SUB XOR CMP, 8 is TEST
constexpr int kCmpRow = 7, kTestRow = 8;
Handler alu_handler(int alu_op, Form form, int log2, bool lock);
Handler unary_handler(int group, bool memory, int log2, bool lock);  // 0 inc 1 dec 2 not 3 neg
// handlers_move.cc
Handler mov_handler(Form form, int log2);
Handler extend_handler(bool sign, bool memory, int from_log2, int to_log2);
Handler lea_handler(int log2);
Handler cmov_handler(int cc, bool memory, int log2);
Handler setcc_handler(int cc, bool memory);
Handler xchg_handler(bool memory, int log2);
Handler bswap_handler(int log2);
Handler movbe_handler(bool store, int log2);
Handler convert_handler(bool to_dx, int log2);  // CBW family, CWD family
// handlers_shift.cc
Handler shift_handler(int shift_op, bool memory, bool by_cl, int log2);
Handler double_shift_handler(bool left, bool memory, bool by_cl, int log2);
// handlers_bits.cc
Handler bit_test_handler(int kind, Form form, int log2, bool lock);  // 0 bt 1 bts 2 btr 3 btc
Handler bit_scan_handler(int kind, bool memory, int log2);  // 0 bsf 1 bsr 2 popcnt 3 tzcnt 4 lzcnt
Handler crc32_handler(bool memory, int log2);
Handler adx_handler(bool overflow, bool memory, int log2);
// handlers_muldiv.cc
Handler mul_div_handler(int group, bool memory, int log2);  // 4 mul 5 imul 6 div 7 idiv
Handler imul_handler(bool memory, bool immediate, int log2);
// handlers_atomic.cc
Handler cmpxchg_handler(bool memory, int log2, bool lock);
Handler xadd_handler(bool memory, int log2, bool lock);
Handler cmpxchg_wide_handler(int log2);  // 3: CMPXCHG8B, 4: CMPXCHG16B
// handlers_stack.cc
Handler push_handler(
    int what, int log2);  // 0 register, 1 immediate, 2 memory, 3 segment register, 4 flags, 5 all
Handler pop_handler(int what,
                    int log2);  // 0 register, 2 memory, 3 segment register, 4 flags, 5 all
Handler leave_handler(int log2);
Handler enter_handler();
// handlers_branch.cc
Handler jcc_handler(int cc);
Handler jump_handler(int what);  // 0 relative, 1 register, 2 memory
Handler call_handler(int what);
Handler ret_handler();
Handler loop_handler(int opcode);  // E0 LOOPNE, E1 LOOPE, E2 LOOP, E3 JCXZ
Handler continue_handler();        // falls through behind the block; the last op of every block
Handler stale_handler();           // the code has changed here: back to the run loop
// handlers_string.cc
Handler string_handler(uint8_t opcode, int log2);
// handlers_simd.cc
Handler simd_handler(const fpu::CompiledInsn& insn);
// handlers_vex.cc
Handler masked_handler(const fpu::CompiledInsn& insn);  // lanes by a mask
// handlers_xsave.cc
enum class Xsave : uint8_t { kSave, kRestore, kGetControl, kSetControl };
Handler xsave_handler(Xsave what);
// debugging.cc
Handler breakpoint_handler();
// handlers_address.cc
Handler touch_handler();  // reads a byte and forgets it
Handler
address_handler();  // computes an address that the fast form cannot express into kSlotAddress
// handlers_far.cc
Handler far_handler(
    int what);  // 0 jump immediate 1 call immediate 2 jump memory 3 call memory 4 retf 5 iret
Handler segment_move_handler(
    int what);  // 0 mov sreg,r 1 mov sreg,m 2 mov r,sreg 3 mov m,sreg 4 lds-family
// handlers_system.cc
enum class System : uint8_t {
  kMovFromCr,
  kMovToCr,
  kMovFromDr,
  kMovToDr,
  kRdmsr,
  kWrmsr,
  kClts,
  kCacheControl,
  kStoreTable,
  kLoadTable,
  kStoreWord,
  kLmsw,
  kLoadSystemSegment,
  kVerify,
  kLoadRights,
  kInvlpg,
  kInvpcid,
  kSwapgs,
  kReadSegmentBase,
  kWriteSegmentBase,
  kClac,
  kStac,
  kSyscall,
  kSysret,
  kArpl,
  kHypercall,
};
Handler system_handler(System what, bool memory);
// handlers_simple.cc
enum class Simple : uint8_t {
  kNop,
  kFence,
  kClc,
  kStc,
  kCmc,
  kCld,
  kStd,
  kCli,
  kSti,
  kHlt,
  kLahf,
  kSahf,
  kXlat,
  kIn,
  kOut,
  kInt1,
  kInt3,
  kIntN,
  kInto,
  kBound,
  kDaa,
  kDas,
  kAaa,
  kAas,
  kAam,
  kAad,
  kSalc,
  kRdtsc,
  kCpuid,
};
Handler simple_handler(Simple what);
Handler undefined_handler();    // #UD
Handler overlong_handler();     // #GP(0): more than 15 bytes
Handler fetch_fault_handler();  // the fault that fetching met

}  // namespace husk::soft::interp
