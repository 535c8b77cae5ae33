// One delivery of an exception or interrupt. Left out, as nothing that Husk runs uses them: task
// gates, 16-bit TSSs and the virtual-8086 monitor; each is answered with #GP.
#pragma once

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

[[nodiscard]] bool has_error_code(uint8_t vector);

struct Event {
  uint8_t vector = 0;
  bool external = false;  // an interrupt from outside: EXT in error codes of faults on the way
  bool software = false;  // INT n, INT3, INTO: the gate's DPL counts
  bool has_error = false;
  bool resume = false;  // fault class: RF is set in the pushed flags
  uint32_t error = 0;
  uint64_t return_ip = 0;
};

class Delivery {
 public:
  Delivery(Cpu& cpu, const Event& event) : cpu_(cpu), event_(event) {}
  // False: a fault on the way is pending; nothing architectural has changed.
  bool run();

 private:
  bool real_mode();
  bool protected_mode();
  bool long_mode();
  bool read_gate();
  bool read_code_segment();
  bool long_stack(uint64_t& sp);
  void enter_handler();
  bool raise(uint8_t vector, uint32_t error);
  [[nodiscard]] uint32_t external_bit() const { return event_.software ? 0 : 1; }

  struct Gate {
    uint8_t type = 0, dpl = 0, ist = 0;
    bool wide = false;
    uint16_t selector = 0;
    uint64_t offset = 0;
  };
  Cpu& cpu_;
  Event event_;
  Gate gate_;
  Segment code_;
  uint8_t new_cpl_ = 0;
};

}  // namespace husk::soft::interp
