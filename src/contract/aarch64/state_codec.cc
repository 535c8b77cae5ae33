#include "contract/aarch64/state_codec.h"

#include <fmt/core.h>

#include <string>

#include "base/try.h"
#include "contract/stream_codec.h"

namespace husk::contract::aarch64 {
namespace {

constexpr uint32_t kVersion = 2;
constexpr const char* kSubject = "vCPU state";

// Visits every field of fixed size in order with `visit`, which reads or writes it.
template <class State, class Visit>
void visit_fields(State& state, Visit&& visit) {
  for (auto& value : state.x) visit(value);
  for (auto* value : {&state.sp, &state.pc, &state.pstate}) visit(*value);
  for (auto* value : {&state.fpcr, &state.fpsr}) visit(*value);
  for (auto& vector : state.v) {
    visit(vector.low);
    visit(vector.high);
  }
  visit(state.mpidr);
  visit(state.power);
  visit(state.counter_hertz);
  visit(state.serror.pending);
  visit(state.serror.has_syndrome);
  visit(state.serror.syndrome);
}

std::unexpected<Error> corrupt(std::string why) {
  return fail(ErrorKind::kCorrupt, kSubject, std::move(why));
}

Result<void> check_count(uint64_t count) {
  if (count > kMaxRegisters)
    return corrupt(fmt::format("has {} registers, more than {}", count, kMaxRegisters));
  return {};
}

Result<void> check_power(Power power) {
  if (power != Power::kOff && power != Power::kOn)
    return corrupt(fmt::format("has power state {}", static_cast<unsigned>(power)));
  return {};
}

// `before` is the register that precedes `id` in the list, or null.
Result<void> check_id(const Register* before, uint64_t id) {
  if (before != nullptr && before->id >= id)
    return corrupt(fmt::format("has register {:#x} after {:#x}", id, before->id));
  if (register_size(id) > kMaxRegisterSize)
    return corrupt(fmt::format("has register {:#x} of {} bytes", id, register_size(id)));
  return {};
}

Result<void> check(const VcpuState& state) {
  HUSK_TRY(check_power(state.power));
  HUSK_TRY(check_count(state.registers.size()));
  const Register* before = nullptr;
  for (const Register& reg : state.registers) {
    HUSK_TRY(check_id(before, reg.id));
    if (reg.value.size() != register_size(reg.id))
      return corrupt(fmt::format("has {} bytes for register {:#x} of {}", reg.value.size(), reg.id,
                                 register_size(reg.id)));
    before = &reg;
  }
  return {};
}

Result<void> read_registers(std::istream& in, uint32_t count, std::vector<Register>& registers) {
  for (uint32_t i = 0; i < count && in; ++i) {
    Register reg{get<uint64_t>(in), {}};
    if (!in) break;
    HUSK_TRY(check_id(registers.empty() ? nullptr : &registers.back(), reg.id));
    reg.value.resize(register_size(reg.id));
    for (std::byte& byte : reg.value) get(in, byte);
    registers.push_back(std::move(reg));
  }
  return {};
}

}  // namespace

Result<void> write_state(const VcpuState& state, std::ostream& out) {
  HUSK_TRY(check(state));
  put(out, kVersion);
  put(out, static_cast<uint32_t>(state.registers.size()));
  visit_fields(state, [&](const auto& field) { put(out, field); });
  for (const Register& reg : state.registers) {
    put(out, reg.id);
    for (const std::byte byte : reg.value) put(out, byte);
  }
  if (!out) return fail(ErrorKind::kIo, kSubject, "cannot be written");
  return {};
}

Result<VcpuState> read_state(std::istream& in) {
  const auto version = get<uint32_t>(in);
  const auto count = get<uint32_t>(in);
  if (!in || version != kVersion) return corrupt("has an unknown version");
  HUSK_TRY(check_count(count));
  VcpuState state;
  visit_fields(state, [&](auto& field) { get(in, field); });
  if (in) HUSK_TRY(check_power(state.power));
  HUSK_TRY(read_registers(in, count, state.registers));
  if (!in) return corrupt("ends early, or has a flag that is neither 0 nor 1");
  return state;
}

}  // namespace husk::contract::aarch64
