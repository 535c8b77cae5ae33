#include "backend/soft/jit/form.h"

#include "backend/soft/jit/form_parts.h"
#include "backend/soft/jit/sse_form.h"
#include "backend/soft/jit/vex_form.h"

namespace husk::soft::jit {

using decode::Insn;
using decode::OpMap;

namespace {

Form in_map(const Insn& insn) {
  if (insn.vex) return vex_form(insn);
  switch (insn.map) {
    case OpMap::kPrimary:
      return primary_form(insn);
    case OpMap::k0F:
      return two_byte_form(insn);
    default:
      return insn.opcode >= 0xf0 ? Form{} : sse_form(insn);
  }
}

}  // namespace

Form form_of(const Insn& insn) {
  const bool addresses = !insn.memory || insn.address_size == 8;
  const bool offset = insn.map == OpMap::kPrimary && insn.opcode >= 0xa0 && insn.opcode <= 0xa3;
  const Form form = in_map(insn);
  if (addresses && !offset) return form;
  Form interpreted;
  interpreted.last = form.last;
  return interpreted;
}

}  // namespace husk::soft::jit
