#include "runtime/debug_target.h"

#include <algorithm>

#include "base/log.h"
#include "base/try.h"

namespace husk::runtime {
namespace {

constexpr uint64_t kHaltLimitNs = 10'000'000'000;

DebugOptions options_for(gdb::Action action, const gdb::Points& points) {
  return {.single_step = action == gdb::Action::kStep,
          .software_breakpoints = !points.software.empty(),
          .points = points.hardware};
}

}  // namespace

Result<void> DebugTarget::halt() {
  run_.end().hold();
  if (!run_.end().wait_until_parked(vcpus(), kHaltLimitNs))
    return fail(ErrorKind::kTimeout, "VM", "did not stop within 10 s");
  if (run_.end().reached()) return fail(ErrorKind::kState, "VM", "has ended");
  return {};
}

Result<void> DebugTarget::apply(uint32_t vcpu, const DebugOptions& options) {
  if (applied_[vcpu] == options) return {};
  HUSK_TRY(run_.set_debug(vcpu, options));
  applied_[vcpu] = options;
  return {};
}

Result<void> DebugTarget::check(const gdb::Points& points) {
  return apply(0, options_for(gdb::Action::kStay, points));
}

Result<void> DebugTarget::go(std::span<const gdb::Action> actions, const gdb::Points& points) {
  std::vector<bool> free;
  for (uint32_t vcpu = 0; vcpu < vcpus(); ++vcpu) {
    const bool runs = actions[vcpu] != gdb::Action::kStay;
    if (runs) HUSK_TRY(apply(vcpu, options_for(actions[vcpu], points)));
    free.push_back(runs);
  }
  run_.debug().expect({actions.begin(), actions.end()}, points);
  if (run_.debug().waiting()) return {};
  std::ranges::fill(states_, std::nullopt);
  run_.end().let_go(std::move(free));
  return {};
}

void DebugTarget::leave() {
  run_.debug().expect_nothing();
  Result<void> done = halt();
  for (uint32_t vcpu = 0; vcpu < vcpus() && done; ++vcpu) done = apply(vcpu, {});
  if (!done && !run_.end().reached())
    base::log(base::LogLevel::kWarn, "gdb: {}", done.error().message());
  std::ranges::fill(states_, std::nullopt);
  run_.end().let_all_go();
}

void DebugTarget::kill() { run_.end().reach(EndReason::kStopped, 0); }

// A stop holds the others at once; that they stand still takes a moment.
std::optional<gdb::Stop> DebugTarget::take_stop() {
  if (!run_.debug().waiting() || !halt()) return std::nullopt;
  return run_.debug().take();
}

std::optional<gdb::End> DebugTarget::end() {
  const MachineEnd& end = run_.end();
  if (!end.reached()) return std::nullopt;
  const bool by_itself = end.reason() == EndReason::kPowerOff ||
                         end.reason() == EndReason::kReset || end.reason() == EndReason::kDebugExit;
  return gdb::End{by_itself, static_cast<uint8_t>(end.code())};
}

Result<NativeState*> DebugTarget::state(uint32_t vcpu) {
  auto& known = states_[vcpu];
  if (!known) known = HUSK_TRY(run_.state(vcpu));
  return &*known;
}

Result<gdb::Bytes> DebugTarget::registers(uint32_t vcpu) {
  return gdb::read_all(guest_registers::features(*HUSK_TRY(state(vcpu))));
}

Result<void> DebugTarget::set_registers(uint32_t vcpu, const gdb::Bytes& bytes) {
  NativeState changed = *HUSK_TRY(state(vcpu));
  auto features = guest_registers::features(changed);
  gdb::write_all(features, bytes);
  states_[vcpu].reset();
  HUSK_TRY(run_.set_state(vcpu, changed));
  run_.debug().forget(vcpu);
  return {};
}

Result<Gpa> DebugTarget::translate(uint32_t vcpu, uint64_t linear) {
  return guest_registers::translate(*HUSK_TRY(state(vcpu)), memory_, linear);
}

}  // namespace husk::runtime
