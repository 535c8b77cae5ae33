#include "cpu_diff/report.h"

#include <Zydis/Zydis.h>
#include <fmt/format.h>

#include <cstring>
#include <string_view>

namespace husk::cpu_diff {
namespace {

constexpr std::string_view kRegisters[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                             "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                             "r12", "r13", "r14", "r15"};

std::string disassemble(const CpuCase& test, const CaseInsn& insn) {
  ZydisDisassembledInstruction out;
  const uint64_t address = test.start.rip + insn.offset;
  const auto status = ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, address,
                                            &test.code[insn.offset], insn.length, &out);
  return ZYAN_SUCCESS(status) ? out.text : "?";
}

std::string bytes_of(const CpuCase& test, const CaseInsn& insn) {
  std::string text;
  for (uint8_t i = 0; i < insn.length; ++i)
    text += fmt::format("{:02x} ", test.code[insn.offset + i]);
  return text;
}

bool is_dropped(const CpuCase& test, const CaseInsn& insn) {
  for (uint8_t i = 0; i < insn.length; ++i) {
    if (test.code[insn.offset + i] != 0x90) return false;
  }
  return true;
}

std::string number_at(const CpuState& state, size_t offset, size_t size) {
  std::string text;
  for (size_t i = size; i-- > 0;) text += fmt::format("{:02x}", state.fx[offset + i]);
  return text;
}

bool any_at(const CpuState& state, size_t offset, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (state.fx[offset + i] != 0) return true;
  }
  return false;
}

}  // namespace

std::string first_mnemonic(const CpuCase& test) {
  for (uint8_t i = 0; i < test.insn_count; ++i) {
    if (is_dropped(test, test.insns[i])) continue;
    const std::string text = disassemble(test, test.insns[i]);
    return text == "?" ? bytes_of(test, test.insns[i]) : text.substr(0, text.find(' '));
  }
  return {};
}

std::string describe(const CpuCase& test) {
  std::string text;
  for (uint8_t i = 0; i < test.insn_count; ++i) {
    const CaseInsn& insn = test.insns[i];
    if (is_dropped(test, insn)) continue;
    text += fmt::format("  {:#x}  {:<40} {}\n", test.start.rip + insn.offset, bytes_of(test, insn),
                        disassemble(test, insn));
  }
  const CpuState& start = test.start;
  constexpr std::string_view kAccess[] = {"writable", "read-only", "not there"};
  for (size_t page = 0; page < test.access.size(); ++page) {
    if (test.access[page] != PageAccess::kWrite)
      text += fmt::format("  page {:#x} {}\n", kData + page * kPage,
                          kAccess[static_cast<size_t>(test.access[page])]);
  }
  text +=
      fmt::format("  from rflags {:#x}, fs {:#x}, gs {:#x}, mxcsr {}, fcw {}, fsw {}, ftw {:02x}\n",
                  start.rflags, start.fs_base, start.gs_base, number_at(start, 24, 4),
                  number_at(start, 0, 2), number_at(start, 2, 2), start.fx[4]);
  for (size_t i = 0; i < 16; ++i) {
    if (start.gpr[i] != 0) text += fmt::format("    {:<4} {:#x}\n", kRegisters[i], start.gpr[i]);
  }
  for (size_t i = 0; i < 8; ++i) {
    if (any_at(start, 32 + i * 16, 10))
      text += fmt::format("    st{}  {}\n", i, number_at(start, 32 + i * 16, 10));
  }
  for (size_t i = 0; i < 16; ++i) {
    if (any_at(start, 160 + i * 16, 16))
      text += fmt::format("    xmm{} {}\n", i, number_at(start, 160 + i * 16, 16));
  }
  return text;
}

}  // namespace husk::cpu_diff
