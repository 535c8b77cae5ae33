// Where the time of a process goes: the ends of its phases, told in the log at level debug. Costs a
// comparison where nobody asks.
#pragma once

#include <string_view>

namespace husk::base {

// At the beginning of main().
void begin_phases();
// `name` is what has ended: what has passed since the end of the one before, or since the
// beginning, was spent on it. Any thread; phases are those of the process.
void end_phase(std::string_view name);

}  // namespace husk::base
