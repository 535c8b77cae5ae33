// What a device shows to a bus: reads and writes at offsets within its own window.
#pragma once

#include <cstdint>
#include <string_view>

namespace husk::contract {

// Called on a vCPU's thread, or on a machine's DoorbellThread; several may call at once, so a
// handler locks what it shares. `size` is 1, 2, 4 or 8 and offset + size lies within the window
// that was registered. A handler never fails: what hardware would ignore it ignores, and an
// undefined read yields all ones.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual uint64_t read(uint64_t offset, uint32_t size) = 0;
  virtual void write(uint64_t offset, uint32_t size, uint64_t value) = 0;
};

}  // namespace husk::contract
