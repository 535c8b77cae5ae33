#include "gdb/aarch64/registers.h"

#include <algorithm>
#include <cstring>

namespace husk::gdb::aarch64 {
namespace {

constexpr uint64_t kSpSel = 1, kModeEl = 0xc;  // PSTATE: the stack pointer is ELn's own; the level

constexpr std::string_view kFpuTypes = R"(<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v2u" type="uint64" count="2"/>
<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v4u" type="uint32" count="4"/>
<vector id="v16u" type="uint8" count="16"/>
<union id="aarch64v">
<field name="d" type="v2d"/><field name="du" type="v2u"/>
<field name="f" type="v4f"/><field name="su" type="v4u"/>
<field name="b" type="v16u"/><field name="q" type="uint128"/>
</union>
)";

template <class T>
std::span<std::byte> place(T& value, size_t size = sizeof(T)) {
  return std::as_writable_bytes(std::span(&value, 1)).first(size);
}

// SP is SP_EL0 or that of the level which executes.
Register stack_pointer(VcpuState& state) {
  const bool own = (state.pstate & kSpSel) != 0 && (state.pstate & kModeEl) != 0;
  return {
      .name = "sp", .type = "data_ptr", .place = own ? place_of(state, kSpEl1) : place(state.sp)};
}

}  // namespace

std::span<std::byte> place_of(VcpuState& state, uint64_t id) {
  const auto found = std::ranges::find(state.registers, id, &contract::aarch64::Register::id);
  if (found == state.registers.end() || found->value.size() != sizeof(uint64_t)) return {};
  return found->value;
}

uint64_t value_of(const VcpuState& state, uint64_t id) {
  uint64_t value = 0;
  const auto found = std::ranges::find(state.registers, id, &contract::aarch64::Register::id);
  if (found != state.registers.end() && found->value.size() == sizeof(value))
    std::memcpy(&value, found->value.data(), sizeof(value));
  return value;
}

std::vector<Feature> features(VcpuState& state) {
  Feature core{.name = "org.gnu.gdb.aarch64.core"};
  for (size_t n = 0; n < state.x.size(); ++n)
    core.registers.push_back({.name = "x" + std::to_string(n), .place = place(state.x[n])});
  core.registers.push_back(stack_pointer(state));
  core.registers.push_back({.name = "pc", .type = "code_ptr", .place = place(state.pc)});
  core.registers.push_back({.name = "cpsr", .bits = 32, .place = place(state.pstate, 4)});
  Feature fpu{.name = "org.gnu.gdb.aarch64.fpu", .types = kFpuTypes};
  for (size_t n = 0; n < state.v.size(); ++n)
    fpu.registers.push_back({.name = "v" + std::to_string(n),
                             .bits = 128,
                             .type = "aarch64v",
                             .place = place(state.v[n])});
  fpu.registers.push_back({.name = "fpsr", .bits = 32, .place = place(state.fpsr)});
  fpu.registers.push_back({.name = "fpcr", .bits = 32, .place = place(state.fpcr)});
  return {std::move(core), std::move(fpu)};
}

const Architecture& architecture() {
  static const Architecture made = [] {
    VcpuState state;
    // BRK #0, little-endian.
    return describe("aarch64", features(state),
                    {std::byte{0}, std::byte{0}, std::byte{0x20}, std::byte{0xd4}}, "pc");
  }();
  return made;
}

}  // namespace husk::gdb::aarch64
