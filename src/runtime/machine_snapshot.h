// A machine's state in a snapshot file's words.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "husk/error.h"

#include "runtime/machine_state.h"
#include "snapshot/contents.h"

namespace husk::runtime {

// What the file says besides memory; the caller adds backend, CPU model and identity.
[[nodiscard]] snapshot::Contents to_contents(const MachineState& state);
// Takes a state that is not the machine's own out of the contents. kCorrupt where it is missing.
[[nodiscard]] Result<std::vector<std::byte>> take_state(snapshot::Contents& contents,
                                                        std::string_view name);
// kCorrupt for a snapshot that is not of a machine of ours.
[[nodiscard]] Result<MachineState> from_contents(const snapshot::Contents& contents);

}  // namespace husk::runtime
