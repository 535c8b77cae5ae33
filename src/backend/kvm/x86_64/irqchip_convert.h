// KVM's structures for the interrupt controllers and the timer that it keeps itself, from the
// canonical form and to it (api.rst, KVM_GET_IRQCHIP and KVM_GET_PIT2).
#pragma once

#include <cstdint>

#include "backend/kvm/common/kvm_api.h"
#include "contract/x86/irqchip_state.h"

namespace husk::kvm {

// `slave`: the second of the pair, whose inputs that are always edge-triggered are others.
[[nodiscard]] kvm_pic_state to_kvm(const contract::x86::PicState& pic, bool slave);
[[nodiscard]] contract::x86::PicState from_kvm(const kvm_pic_state& pic, bool slave);

// KVM keeps no lines but those that ask for something: a level, or an edge that is yet to be
// delivered. An edge-triggered line that is up and was delivered counts
// as down.
[[nodiscard]] kvm_ioapic_state to_kvm(const contract::x86::IoApicState& ioapic);
[[nodiscard]] contract::x86::IoApicState from_kvm(const kvm_ioapic_state& ioapic);

// `now_ns` is CLOCK_MONOTONIC's. What KVM does not tell: how far counter 0 is, and whether its
// single interrupt was raised; it is taken to have been loaded just now, as KVM itself does with
// what KVM_SET_PIT2 gives it.
[[nodiscard]] kvm_pit_state2 to_kvm(const contract::x86::PitState& pit, uint64_t now_ns);
[[nodiscard]] contract::x86::PitState from_kvm(const kvm_pit_state2& pit, uint64_t now_ns);

}  // namespace husk::kvm
