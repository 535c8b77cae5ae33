#include "contract/x86/state_codec.h"

#include "contract/stream_codec.h"

namespace husk::contract::x86 {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint32_t kMaxMsrs = 1024;
constexpr uint32_t kMaxXsave = 64 * 1024;
constexpr uint32_t kMaxCpuid = 256;

// Visits every field in order with `visit`, which reads or writes it. The counts of
// MSRs, of the XSAVE area's bytes and of CPUID's leaves are before all.
template <class State, class Visit>
void visit_fields(State& state, Visit&& visit) {
  for (auto& value : state.gpr) visit(value);
  visit(state.rip);
  visit(state.rflags);
  const auto segment = [&](auto& s) {
    visit(s.selector);
    visit(s.attributes);
    visit(s.limit);
    visit(s.base);
  };
  for (auto& s : state.segments) segment(s);
  segment(state.ldtr);
  segment(state.tr);
  for (auto* table : {&state.gdtr, &state.idtr}) {
    visit(table->base);
    visit(table->limit);
  }
  for (auto* value :
       {&state.cr0, &state.cr2, &state.cr3, &state.cr4, &state.cr8, &state.efer, &state.xcr0})
    visit(*value);
  for (auto& value : state.dr) visit(value);
  visit(state.dr6);
  visit(state.dr7);
  for (auto& byte : state.fxsave) visit(byte);
  for (auto& byte : state.lapic) visit(byte);
  for (auto* flag :
       {&state.events.nmi_pending, &state.events.nmi_blocked, &state.events.interrupt_shadow,
        &state.events.halted, &state.events.waiting_for_sipi})
    visit(*flag);
  visit(state.events.in_flight.kind);
  visit(state.events.in_flight.vector);
  visit(state.events.in_flight.has_error_code);
  visit(state.events.in_flight.error_code);
  visit(state.tsc_khz);
  for (auto& byte : state.xsave) visit(byte);
  for (auto& msr : state.msrs) {
    visit(msr.index);
    visit(msr.value);
  }
  visit(state.cpu_model);
  for (auto& entry : state.cpuid) {
    visit(entry.leaf);
    visit(entry.subleaf);
    visit(entry.indexed);
    for (auto& value : entry.regs) visit(value);
  }
}

}  // namespace

Result<void> write_state(const VcpuState& state, std::ostream& out) {
  put(out, kVersion);
  put(out, static_cast<uint32_t>(state.msrs.size()));
  put(out, static_cast<uint32_t>(state.xsave.size()));
  put(out, static_cast<uint32_t>(state.cpuid.size()));
  visit_fields(state, [&](const auto& field) { put(out, field); });
  if (!out) return fail(ErrorKind::kIo, "vCPU state", "cannot be written");
  return {};
}

Result<VcpuState> read_state(std::istream& in) {
  uint32_t version = 0;
  uint32_t msrs = 0, xsave = 0, cpuid = 0;
  get(in, version);
  get(in, msrs);
  get(in, xsave);
  get(in, cpuid);
  if (!in || version != kVersion)
    return fail(ErrorKind::kCorrupt, "vCPU state", "has an unknown version");
  if (msrs > kMaxMsrs) return fail(ErrorKind::kCorrupt, "vCPU state", "claims too many MSRs");
  if (xsave > kMaxXsave) return fail(ErrorKind::kCorrupt, "vCPU state", "claims too large an FPU");
  if (cpuid > kMaxCpuid)
    return fail(ErrorKind::kCorrupt, "vCPU state", "claims too many CPUID leaves");
  VcpuState state;
  state.msrs.resize(msrs);
  state.xsave.resize(xsave);
  state.cpuid.resize(cpuid);
  visit_fields(state, [&](auto& field) { get(in, field); });
  if (!in)
    return fail(ErrorKind::kCorrupt, "vCPU state",
                "ends early, or has a flag that is neither 0 nor 1");
  if (state.events.in_flight.kind > InFlight::Kind::kSoftware)
    return fail(ErrorKind::kCorrupt, "vCPU state", "has an unknown event in flight");
  if (state.cpu_model > CpuModel::kX86_64V3)
    return fail(ErrorKind::kCorrupt, "vCPU state", "has an unknown CPU model");
  return state;
}

}  // namespace husk::contract::x86
