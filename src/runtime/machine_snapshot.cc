#include "runtime/machine_snapshot.h"

#include <algorithm>
#include <string_view>

namespace husk::runtime {
namespace {

constexpr std::string_view kController = "interrupt-controller";
constexpr std::string_view kChip = "chip/";  // before a chip's name
constexpr const char* kMonotonic = "monotonic";

}  // namespace

snapshot::Contents to_contents(const MachineState& state) {
  snapshot::Contents contents;
  contents.machine.vcpus = state.vcpus;
  contents.origin.monotonic_ns = state.clock.host_monotonic_ns;
  contents.origin.realtime_ns = state.clock.host_realtime_ns;
  contents.origin.guest_clocks[kMonotonic] = state.clock.guest_ns;
  contents.states.push_back({std::string(kController), state.interrupt_controller});
  for (const ChipState& chip : state.chips)
    contents.states.push_back({std::string(kChip) + chip.name, chip.state});
  return contents;
}

Result<std::vector<std::byte>> take_state(snapshot::Contents& contents, std::string_view name) {
  const auto found = std::ranges::find(contents.states, name, &snapshot::NamedState::name);
  if (found == contents.states.end())
    return fail(ErrorKind::kCorrupt, "snapshot", "has no state of " + std::string(name));
  std::vector<std::byte> bytes = std::move(found->bytes);
  contents.states.erase(found);
  return bytes;
}

Result<MachineState> from_contents(const snapshot::Contents& contents) {
  MachineState state;
  state.vcpus = contents.machine.vcpus;
  const auto clock = contents.origin.guest_clocks.find(kMonotonic);
  if (clock == contents.origin.guest_clocks.end())
    return fail(ErrorKind::kCorrupt, "snapshot", "does not tell the guest's time");
  state.clock = {clock->second, contents.origin.monotonic_ns, contents.origin.realtime_ns};
  bool found = false;
  for (const snapshot::NamedState& part : contents.states) {
    if (part.name == kController) {
      state.interrupt_controller = part.bytes;
      found = true;
    } else if (part.name.starts_with(kChip)) {
      state.chips.push_back({part.name.substr(kChip.size()), part.bytes});
    } else {
      return fail(ErrorKind::kCorrupt, "snapshot", "has a " + part.name + ", which nobody knows");
    }
  }
  if (!found) return fail(ErrorKind::kCorrupt, "snapshot", "has no interrupt controller");
  return state;
}

}  // namespace husk::runtime
