// Code that is rewritten, by the CPU that runs it and by the other one (Intel SDM vol. 3, 9.1.3 and
// 12.6).
#include "smp.h"

extern "C" uint8_t patched[], patched_value[], poked[], poked_end[], poked_other[];
asm(R"(
        .text
        .balign 64
patched:
        nop
        .byte 0x0f, 0x1f, 0x00
        .byte 0xb8
patched_value:
        .long 0
        ret
        .balign 64
poked:  movl $7, %eax
poked_end:
        ret
poked_other:
        movl $9, %eax
        ret
)");

namespace bare {
namespace {

constexpr uint8_t kSerialise = 0x63;
constexpr uint8_t kInt3 = 0xcc, kNop = 0x90, kMovEax = 0xb8, kRet = 0xc3, kJump = 0xe9;

void on_serialise(Frame&) {
  (void)cpuid(0);
  answer();
}

uint32_t call(const void* code, uint32_t argument = 0) {
  uint32_t value;
  asm volatile("call *%1" : "=a"(value) : "r"(code), "D"(argument) : "memory", "rcx", "rsi", "cc");
  return value;
}

// Old or new, nothing else, and new behind the serialisation.
uint32_t least_value;
bool wrong_value;

void run_patched() {
  enable_interrupts();
  while (!stopped()) {
    const uint32_t least = __atomic_load_n(&least_value, __ATOMIC_ACQUIRE);
    const uint32_t value = call(patched);
    const uint32_t most = *reinterpret_cast<volatile uint32_t*>(patched_value);
    if (value < least || value > most) wrong_value = true;
  }
  disable_interrupts();
}

void patch_value() {
  for (uint32_t round = 1; round < 2000; ++round) {
    __atomic_store_n(reinterpret_cast<uint32_t*>(patched_value), round, __ATOMIC_RELEASE);
    ask(kSerialise);
    __atomic_store_n(&least_value, round, __ATOMIC_RELEASE);
  }
  stop_other();
}

// A breakpoint set and cleared in code that runs.
uint32_t breakpoints;
void on_breakpoint(Frame&) { __atomic_add_fetch(&breakpoints, 1, __ATOMIC_ACQ_REL); }

bool breakpoint_is_met() {
  const uint32_t before = __atomic_load_n(&breakpoints, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < 300'000'000; ++i) {
    if (__atomic_load_n(&breakpoints, __ATOMIC_ACQUIRE) != before) return true;
    pause();
  }
  return false;
}

void set_breakpoints() {
  bool met = true;
  for (uint32_t round = 0; round < 1000 && met; ++round) {
    __atomic_store_n(patched, kInt3, __ATOMIC_RELEASE);
    ask(kSerialise);
    met = breakpoint_is_met();
    __atomic_store_n(patched, kNop, __ATOMIC_RELEASE);
    ask(kSerialise);
  }
  stop_other();
  check("each INT3 that is set is met", met);
}

// An instruction replaced by another of several bytes, the way that kernels do it: a breakpoint
// guards it while its tail changes. `settled` is 0 then, and otherwise tells the round and what
// the code computes.
constexpr uint32_t kByBreakpoint = 5;
uint32_t settled;
bool torn;

void on_poked(Frame& frame) {
  if (frame.rip != reinterpret_cast<uint64_t>(poked) + 1) {
    torn = true;
    return;
  }
  frame.rip = reinterpret_cast<uint64_t>(poked_end);
  frame.rax = kByBreakpoint;
}

void run_poked() {
  enable_interrupts();
  while (!stopped()) {
    const uint32_t before = __atomic_load_n(&settled, __ATOMIC_ACQUIRE);
    const uint32_t value = call(poked);
    const uint32_t after = __atomic_load_n(&settled, __ATOMIC_ACQUIRE);
    if (value != 7 && value != 9 && value != kByBreakpoint) torn = true;
    if (before == after && before != 0 && value != (before & 0xff)) torn = true;
  }
  disable_interrupts();
}

void poke(uint8_t first, uint32_t rest) {
  __atomic_store_n(poked, kInt3, __ATOMIC_RELEASE);
  ask(kSerialise);
  for (int i = 0; i < 4; ++i)
    __atomic_store_n(poked + 1 + i, static_cast<uint8_t>(rest >> i * 8), __ATOMIC_RELEASE);
  ask(kSerialise);
  __atomic_store_n(poked, first, __ATOMIC_RELEASE);
  ask(kSerialise);
}

void poke_again_and_again() {
  const auto distance = static_cast<uint32_t>(poked_other - poked_end);
  for (uint32_t round = 1; round < 1000; ++round) {
    const bool jump = round % 2 != 0;
    __atomic_store_n(&settled, 0, __ATOMIC_RELEASE);
    poke(jump ? kJump : kMovEax, jump ? distance : 7);
    __atomic_store_n(&settled, round << 8 | (jump ? 9 : 7), __ATOMIC_RELEASE);
  }
  stop_other();
}

template <size_t n>
uint8_t* put(uint8_t* at, const uint8_t (&bytes)[n]) {
  for (const uint8_t byte : bytes) *at++ = byte;
  return at;
}
uint8_t* put32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) *at++ = static_cast<uint8_t>(value >> i * 8);
  return at;
}

// Every call must return its argument, which the code stores into an instruction of its own.
bool returns_argument(const void* code) {
  bool good = true;
  for (uint32_t i = 1; i < 3000; ++i) good = good && call(code, i * 0x10001) == i * 0x10001;
  return good;
}

// MOV [the immediate below], EDI; optionally a jump to the next; MOV EAX, imm32; RET.
void check_own_code(const char* name, bool jump) {
  auto* page = reinterpret_cast<uint8_t*>(new_page());
  uint8_t* at = put32(put(page, {0x89, 0x3d}), jump ? 3 : 1);
  if (jump) at = put(at, {0xeb, 0});
  put(put32(put(at, {kMovEax}), 0), {kRet});
  check(name, returns_argument(page));
}

// REP MOVSB writes the function that follows it.
void check_string_over_code() {
  auto* page = reinterpret_cast<uint8_t*>(new_page());
  static uint8_t source[6];
  uint8_t* at = put(page, {0x48, 0xbe});  // MOV RSI, source
  const auto from = reinterpret_cast<uint64_t>(source);
  at = put32(put32(at, static_cast<uint32_t>(from)), static_cast<uint32_t>(from >> 32));
  at = put(at, {0x48, 0x8d, 0x3d, 7, 0, 0, 0});   // LEA RDI, [the byte behind REP MOVSB]
  at = put(at, {0xb9, 6, 0, 0, 0, 0xf3, 0xa4});   // MOV ECX, 6; REP MOVSB
  put(at, {0x0f, 0x0b, 0x0f, 0x0b, 0x0f, 0x0b});  // UD2
  bool good = true;
  for (uint32_t i = 1; i < 1000; ++i) {
    put(put32(put(source, {kMovEax}), i), {kRet});
    good = good && call(page) == i;
  }
  check("a string instruction writes the code behind it", good);
}

void check_alias() {
  constexpr uint64_t kAlias = 0x7100000000;
  auto* page = reinterpret_cast<uint8_t*>(new_page());
  map(boot_tables(), kAlias, reinterpret_cast<uint64_t>(page), kPresent | kWritable);
  put(put32(put(page, {kMovEax}), 0), {kRet});
  bool good = true;
  for (uint32_t i = 1; i < 3000; ++i) {
    *reinterpret_cast<volatile uint32_t*>(kAlias + 1) = i;
    (void)cpuid(0);
    good = good && call(page) == i;
  }
  check("code written by another address is new behind CPUID", good);
}

// An instruction of which the second page holds the immediate.
void check_straddling() {
  constexpr uint64_t kPlace = 0x7200000000;
  for (uint64_t i = 0; i < 2; ++i)
    map(boot_tables(), kPlace + i * kPage, reinterpret_cast<uint64_t>(new_page()),
        kPresent | kWritable);
  auto* code = reinterpret_cast<uint8_t*>(kPlace + kPage - 2);
  put(put32(put(code, {kMovEax}), 0), {kRet});
  bool good = true;
  for (uint32_t i = 1; i < 3000; ++i) {
    *reinterpret_cast<volatile uint32_t*>(code + 1) = i << 8;
    good = good && call(code) == i << 8;
  }
  check("an instruction on two pages changes with either", good);
}

// Data beside code: what is written is no code, and the code goes on.
void check_data_beside_code() {
  auto* page = reinterpret_cast<uint8_t*>(new_page());
  uint8_t* at = put32(put(page, {kMovEax}), 20'000);
  at = put32(put(at, {0xff, 0x05}), 0x100 - 11);  // INC dword [page + 0x100]
  put(at, {0xff, 0xc8, 0x75, 0xf6, kRet});        // DEC EAX; JNZ to the INC
  call(page);
  check_equal("a loop counts in its own page", *reinterpret_cast<volatile uint32_t*>(page + 0x100),
              20'000);
}

}  // namespace

void check_code_changes() {
  check_own_code("a jump leads to code just written", true);
  check_own_code("and so does going on", false);
  check_string_over_code();
  check_alias();
  check_straddling();
  check_data_beside_code();
  set_handler(kSerialise, on_serialise);
  run_together(patch_value, run_patched);
  check("code that changes is old or new, and new when told so", !wrong_value);
  set_handler(kBp, on_breakpoint);
  run_together(set_breakpoints, run_patched);
  check("and otherwise computes the same", !wrong_value);
  set_handler(kBp, on_poked);
  run_together(poke_again_and_again, run_poked);
  check("instructions change under a breakpoint's guard", !torn);
  set_handler(kBp, nullptr);
}

}  // namespace bare
