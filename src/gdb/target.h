// What a debugger needs of a machine. The room `gdb` speaks the protocol; a machine implements this
// (runtime/debug_target.h).
//
// Called on one thread. A machine stands still, or some of its vCPUs run: everything but halt() and
// poll() is for one that stands still, and an error otherwise, as it is for one that has ended.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "husk/debug.h"
#include "husk/error.h"

#include "gdb/registers.h"
#include "memory/guest_memory.h"

namespace husk::gdb {

enum class Action : uint8_t { kStay, kRun, kStep };

// Where vCPUs are to stop. Addresses are linear.
struct Points {
  std::vector<DebugPoint> hardware{};  // no more than DebugOptions::kMostPoints
  std::vector<uint64_t> software{};    // where breakpoint instructions of the debugger's are

  bool operator==(const Points&) const = default;
};

// Why the machine stands still, though nobody has called halt(), or that it has ended.
struct Stop {
  uint32_t vcpu = 0;
  DebugStop why{};
};
struct End {
  bool by_itself = true;  // powered off, or restarted; else it crashed, or was ended
  uint8_t code = 0;
};

class Target {
 public:
  virtual ~Target() = default;

  [[nodiscard]] virtual uint32_t vcpus() const = 0;
  [[nodiscard]] virtual const Architecture& architecture() const = 0;

  // Every vCPU stands still when it returns without an error.
  [[nodiscard]] virtual Result<void> halt() = 0;
  // One action for each vCPU. Stops that nobody has heard of yet come before anything runs.
  [[nodiscard]] virtual Result<void> go(std::span<const Action> actions, const Points& points) = 0;
  // Whether this machine can stop there.
  [[nodiscard]] virtual Result<void> check(const Points& points) = 0;
  // Nobody debugs it any more: it goes on, and stops nowhere.
  virtual void leave() = 0;
  // Ends the guest.
  virtual void kill() = 0;

  // What go() has led to: then all vCPUs stand still. Nothing: they run on.
  [[nodiscard]] virtual std::optional<Stop> take_stop() = 0;
  [[nodiscard]] virtual std::optional<End> end() = 0;

  // All of a vCPU's registers, in the architecture's order.
  [[nodiscard]] virtual Result<Bytes> registers(uint32_t vcpu) = 0;
  [[nodiscard]] virtual Result<void> set_registers(uint32_t vcpu, const Bytes& bytes) = 0;
  // The guest-physical address of a linear one, as the vCPU's kernel sees it; kNotFound: none.
  [[nodiscard]] virtual Result<Gpa> translate(uint32_t vcpu, uint64_t linear) = 0;
  [[nodiscard]] virtual memory::GuestMemory& memory() = 0;
};

}  // namespace husk::gdb
