// Port and memory-mapped buses: which device answers where. Built once, then immutable, so that
// vCPUs share it without a lock.
#pragma once

#include <cstdint>
#include <vector>

#include "husk/error.h"

#include "contract/io_handler.h"

namespace husk::platform {

class Bus {
 public:
  // The handler outlives the bus. Windows must not overlap.
  [[nodiscard]] Result<void> attach(uint64_t base, uint64_t size, contract::IoHandler& handler);
  // What no window holds entirely reads as all ones and ignores writes. Values are cut to `size`
  // bytes in both directions.
  [[nodiscard]] uint64_t read(uint64_t address, uint32_t size) const;
  void write(uint64_t address, uint32_t size, uint64_t value) const;

 private:
  struct Window {
    uint64_t base = 0;
    uint64_t size = 0;
    contract::IoHandler* handler = nullptr;
  };
  [[nodiscard]] const Window* find(uint64_t address, uint32_t size) const;

  std::vector<Window> windows_;  // by base
};

}  // namespace husk::platform
