// A device's interrupt output.
#pragma once

#include <cstdint>

namespace husk::contract {

// Copyable, trivially cheap, usable from any thread. Default-constructed, it is not connected and
// does nothing. The target outlives every copy (the machine stops its device threads before it is
// taken apart).
class IrqLine {
 public:
  using Setter = void (*)(void* target, uint32_t gsi, bool level);

  IrqLine() = default;
  IrqLine(Setter setter, void* target, uint32_t gsi)
      : setter_(setter), target_(target), gsi_(gsi) {}

  void set(bool level) const {
    if (setter_ != nullptr) setter_(target_, gsi_, level);
  }
  void pulse() const {
    set(true);
    set(false);
  }
  [[nodiscard]] uint32_t gsi() const { return gsi_; }

 private:
  Setter setter_ = nullptr;
  void* target_ = nullptr;
  uint32_t gsi_ = 0;
};

}  // namespace husk::contract
