// Far calls and jumps through call gates (Intel SDM vol. 3, 5.8.3 to 5.8.5).
#pragma once

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

class FramePusher;

class CallGate {
 public:
  CallGate(Cpu& cpu, const Op* op, uint16_t selector, bool call)
      : cpu_(cpu), op_(op), selector_(selector), call_(call) {}
  // Reads the descriptor that the far pointer names. False: raised.
  bool look();
  [[nodiscard]] bool is_one() const { return is_one_; }
  // Goes through it; the handler returns what this returns.
  const Op* pass();

 private:
  bool read_target();
  bool check_target();
  bool push_same_level();
  bool push_inner_level();
  bool push_arguments(FramePusher& frame);
  bool raise(uint8_t vector, uint32_t error) {
    cpu_.fault(op_, vector, error);
    return false;
  }

  Cpu& cpu_;
  const Op* op_;
  uint16_t selector_;
  bool call_;
  bool is_one_ = false;
  uint64_t gate_ = 0;
  uint64_t gate_address_ = 0;
  uint16_t code_selector_ = 0;
  uint64_t target_ = 0;
  uint32_t width_ = 4;  // of what is pushed
  Segment code_;
  uint64_t code_address_ = 0;
  uint64_t code_descriptor_ = 0;
  uint8_t new_cpl_ = 0;
};

}  // namespace husk::soft::interp
