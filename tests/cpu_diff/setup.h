// Operands that need arranging, lest every DIV overflow and every POP fault: one function for each
// @word of the form tables. Called before the memory operand is chosen where registers must be won,
// after it where memory is patched.
#pragma once

#include "cpu_diff/case_builder.h"
#include "cpu_diff/plan.h"

namespace husk::cpu_diff {

// False: it cannot be arranged at this point of the case; choose another form.
bool prepare_registers(CaseBuilder& builder, Plan& plan);
void prepare_memory(CaseBuilder& builder, Plan& plan);

}  // namespace husk::cpu_diff
