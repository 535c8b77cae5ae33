// From what a backend can show of a processor to what a guest is shown: the models of
// husk/cpu_model.h over CPUID, and what of a state depends on them. docs/cpu-models.md says why
// the values are what they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "husk/cpu_model.h"
#include "husk/error.h"

#include "contract/x86/cpuid.h"
#include "contract/x86/vcpu_state.h"

namespace husk::contract::x86 {

// kUnsupported, naming the first feature of the model that `can` lacks; `subject` is who cannot.
[[nodiscard]] Result<void> require_model(const CpuidTable& can, CpuModel model,
                                         const std::string& subject);

// What a guest of the model is shown by a backend that can show `can`: `host`, all of it; the
// others a table of their own, whose features are the model's and the machine's. APIC IDs and the
// topology are not in there: the backend writes them for each vCPU. The vendor is the backend's.
[[nodiscard]] CpuidTable shown_cpuid(const CpuidTable& can, CpuModel model);

// kUnsupported when a guest that was shown `was` would miss something on a vCPU that is shown
// `now`: another vendor's errata and instructions, fewer address bits, or a feature, which is
// named.
[[nodiscard]] Result<void> require_no_less(const CpuidTable& was, const CpuidTable& now);
// The same but the vendor, for a CPU that can be any of them.
[[nodiscard]] Result<void> require_features(const CpuidTable& was, const CpuidTable& now);

// The state components that a guest which is shown `table` can have in XCR0; x87 always.
[[nodiscard]] uint64_t xcr0_mask(const CpuidTable& table);
// The bytes of an XSAVE area in the standard format behind its first 512 that such a guest can
// fill; 0: there is nothing but x87 and SSE.
[[nodiscard]] size_t xsave_rest(const CpuidTable& table);
// kUnsupported, naming the component, when the state has registers that `table` does not show.
[[nodiscard]] Result<void> require_components(const VcpuState& state, const CpuidTable& table);

}  // namespace husk::contract::x86
