// A machine's run as a debugger's target.
#pragma once

#include <optional>
#include <vector>

#include "gdb/target.h"
#include "memory/guest_memory.h"
#include "runtime/machine_run.h"

namespace husk::runtime {

// `run` and `memory` outlive it.
class DebugTarget final : public gdb::Target {
 public:
  DebugTarget(MachineRun& run, uint32_t vcpus, memory::GuestMemory& memory)
      : run_(run), memory_(memory), applied_(vcpus), states_(vcpus) {}

  uint32_t vcpus() const override { return static_cast<uint32_t>(applied_.size()); }
  const gdb::Architecture& architecture() const override { return guest_registers::architecture(); }
  Result<void> halt() override;
  Result<void> go(std::span<const gdb::Action> actions, const gdb::Points& points) override;
  Result<void> check(const gdb::Points& points) override;
  void leave() override;
  void kill() override;
  std::optional<gdb::Stop> take_stop() override;
  std::optional<gdb::End> end() override;
  Result<gdb::Bytes> registers(uint32_t vcpu) override;
  Result<void> set_registers(uint32_t vcpu, const gdb::Bytes& bytes) override;
  Result<Gpa> translate(uint32_t vcpu, uint64_t linear) override;
  memory::GuestMemory& memory() override { return memory_; }

 private:
  // set_debug(), unless the vCPU has just that.
  [[nodiscard]] Result<void> apply(uint32_t vcpu, const DebugOptions& options);
  // As it was when the machine stopped.
  [[nodiscard]] Result<NativeState*> state(uint32_t vcpu);

  MachineRun& run_;
  memory::GuestMemory& memory_;
  std::vector<DebugOptions> applied_;
  std::vector<std::optional<NativeState>> states_;
};

}  // namespace husk::runtime
