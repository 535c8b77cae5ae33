// What makes a whole block of a row of instructions: stores into code that is yet to come, jumps
// into the middle of an instruction, loops, and data pages with fewer rights. Cases of a few
// instructions have none of it.
#pragma once

#include <cstdint>

#include "cpu_diff/case_builder.h"

namespace husk::cpu_diff {

class BlockShape {
 public:
  explicit BlockShape(CaseBuilder& builder) : builder_(builder) {}

  // At times takes rights from the data window's pages; before there are instructions.
  void restrict_pages(CpuCase& test);
  // At times adds something of the kind; whether it did.
  bool add();
  // A store whose target never came goes to the byte behind the case.
  void finish();

 private:
  static constexpr size_t kNoStore = ~size_t{0};

  void add_store();
  void add_target();
  void add_jump_into();
  bool add_loop();
  void aim_store();

  CaseBuilder& builder_;
  size_t store_ = kNoStore;  // offset in the code of a store that has no target yet
};

}  // namespace husk::cpu_diff
