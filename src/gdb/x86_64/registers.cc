#include "gdb/x86_64/registers.h"

#include <algorithm>

namespace husk::gdb::x86_64 {
namespace {

using contract::x86::Seg;

constexpr uint32_t kMsrKernelGsBase = 0xc000'0102;

// GDB's names for the bits (GDB manual, "Type Definitions").
constexpr std::string_view kCoreTypes = R"(<flags id="i386_eflags" size="4">
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/>
<field name="PF" start="2" end="2"/><field name="AF" start="4" end="4"/>
<field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/>
<field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/>
<field name="DF" start="10" end="10"/><field name="OF" start="11" end="11"/>
<field name="NT" start="14" end="14"/><field name="RF" start="16" end="16"/>
<field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/>
<field name="VIF" start="19" end="19"/><field name="VIP" start="20" end="20"/>
<field name="ID" start="21" end="21"/>
</flags>
)";

constexpr std::string_view kSseTypes = R"(<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
)";

template <class T>
std::span<std::byte> place(T& value, size_t size = sizeof(T)) {
  return std::as_writable_bytes(std::span(&value, 1)).first(size);
}

Register wide(std::string name, uint64_t& value, std::string_view type = "int64",
              std::string_view group = {}) {
  return {.name = std::move(name), .type = type, .group = group, .place = place(value)};
}

// GDB has the segment registers, and those of the x87 unit, with 32 bits.
Register narrow(std::string name, std::span<std::byte> where, std::string_view type = "int32",
                std::string_view group = {}) {
  return {.name = std::move(name), .bits = 32, .type = type, .group = group, .place = where};
}

void add_general(VcpuState& state, std::vector<Register>& list) {
  struct Named {
    const char* name;
    uint8_t encoding;
    const char* type;
  };
  // In GDB's order, which is not that of the encodings.
  for (const Named& one : {Named{"rax", 0, "int64"},
                           {"rbx", 3, "int64"},
                           {"rcx", 1, "int64"},
                           {"rdx", 2, "int64"},
                           {"rsi", 6, "int64"},
                           {"rdi", 7, "int64"},
                           {"rbp", 5, "data_ptr"},
                           {"rsp", 4, "data_ptr"}})
    list.push_back(wide(one.name, state.gpr[one.encoding], one.type));
  for (size_t n = 8; n < state.gpr.size(); ++n)
    list.push_back(wide("r" + std::to_string(n), state.gpr[n]));
  list.push_back(wide("rip", state.rip, "code_ptr"));
  list.push_back(narrow("eflags", place(state.rflags, 4), "i386_eflags"));
  for (const auto& [name, seg] : {std::pair{"cs", Seg::kCs},
                                  {"ss", Seg::kSs},
                                  {"ds", Seg::kDs},
                                  {"es", Seg::kEs},
                                  {"fs", Seg::kFs},
                                  {"gs", Seg::kGs}})
    list.push_back(narrow(name, place(state.segments[seg].selector)));
}

// The tag word as FNSAVE has it, as far as the FXSAVE image says it: empty or not (Intel SDM vol.
// 1, 10.5.1.1).
uint64_t full_tags(uint8_t abridged) {
  uint64_t tags = 0;
  for (unsigned n = 0; n < 8; ++n)
    if ((abridged >> n & 1) == 0) tags |= uint64_t{3} << 2 * n;
  return tags;
}

// Offsets are the FXSAVE64 image's (Intel SDM vol. 1, table 10-2).
void add_x87(VcpuState& state, std::vector<Register>& list) {
  const auto image = std::as_writable_bytes(std::span(state.fxsave));
  for (size_t n = 0; n < 8; ++n)
    list.push_back({.name = "st" + std::to_string(n),
                    .bits = 80,
                    .type = "i387_ext",
                    .place = image.subspan(32 + 16 * n, 10)});
  const auto control = [&](const char* name, std::span<std::byte> where) {
    list.push_back(narrow(name, where, "int", "float"));
  };
  control("fctrl", image.subspan(0, 2));
  control("fstat", image.subspan(2, 2));
  control("ftag", {});
  list.back().computed = full_tags(state.fxsave[4]);
  control("fiseg", image.subspan(12, 4));
  control("fioff", image.subspan(8, 4));
  control("foseg", image.subspan(20, 4));
  control("fooff", image.subspan(16, 4));
  control("fop", image.subspan(6, 2));
}

Feature sse(VcpuState& state) {
  Feature made{.name = "org.gnu.gdb.i386.sse", .types = kSseTypes};
  const auto image = std::as_writable_bytes(std::span(state.fxsave));
  for (size_t n = 0; n < 16; ++n)
    made.registers.push_back({.name = "xmm" + std::to_string(n),
                              .bits = 128,
                              .type = "vec128",
                              .place = image.subspan(160 + 16 * n, 16)});
  made.registers.push_back(narrow("mxcsr", image.subspan(24, 4), "int", "vector"));
  return made;
}

Register msr(std::string name, VcpuState& state, uint32_t index) {
  const auto found = std::ranges::find(state.msrs, index, &contract::x86::Msr::index);
  if (found == state.msrs.end()) return {.name = std::move(name), .group = "system"};
  return wide(std::move(name), found->value, "int64", "system");
}

}  // namespace

std::vector<Feature> features(VcpuState& state) {
  Feature core{.name = "org.gnu.gdb.i386.core", .types = kCoreTypes};
  add_general(state, core.registers);
  add_x87(state, core.registers);
  Feature segments{.name = "org.gnu.gdb.i386.segments"};
  segments.registers = {wide("fs_base", state.segments[Seg::kFs].base),
                        wide("gs_base", state.segments[Seg::kGs].base)};
  Feature system{.name = "org.husk.i386.system"};  // GDB just shows what it does not know
  system.registers.push_back(msr("k_gs_base", state, kMsrKernelGsBase));
  for (const auto& [name, value] : {std::pair{"cr0", &state.cr0},
                                    {"cr2", &state.cr2},
                                    {"cr3", &state.cr3},
                                    {"cr4", &state.cr4},
                                    {"cr8", &state.cr8},
                                    {"efer", &state.efer}})
    system.registers.push_back(wide(name, *value, "int64", "system"));
  return {std::move(core), sse(state), std::move(segments), std::move(system)};
}

const Architecture& architecture() {
  static const Architecture made = [] {
    VcpuState state;
    return describe("i386:x86-64", features(state), {std::byte{0xcc}}, "rip");  // INT3
  }();
  return made;
}

}  // namespace husk::gdb::x86_64
