// The machine that a container runs in: its devices, in their order, and what its kernel is told.
// Cold runs, warm ones and base snapshots have the same.
#pragma once

#include <memory>
#include <string>

#include "husk/lifecycle.h"
#include "husk/machine.h"

#include "runtime/guest_kernel.h"
#include "runtime/managed_machine.h"

namespace husk::runtime {

struct ContainerPlan {
  std::string backend;         // by name
  lifecycle::VmConfig config;  // without a root disk, the disk's place is left empty
  GuestKernel kernel;
  bool kernel_irqchip = false;  // see machine::VmConfig
  std::string vsock;            // where its vsock ports are reached, besides by us; empty: nowhere
};

// The kernel's command line.
[[nodiscard]] std::string container_command_line();

struct ContainerMachine {
  std::unique_ptr<machine::Hypervisor> hypervisor;
  std::unique_ptr<machine::VirtualMachine> vm;

  [[nodiscard]] ManagedMachine& machine() const { return *vm->as<ManagedMachine>(); }
};

// Not started. `serial` outlives the machine.
[[nodiscard]] Result<ContainerMachine> build_container_machine(const ContainerPlan& plan,
                                                               contract::ByteSink& serial);
// Makes the initial RAM disk and boots.
[[nodiscard]] Result<void> boot_container_machine(const ContainerPlan& plan,
                                                  const ContainerMachine& machine,
                                                  contract::ByteSink& serial);

}  // namespace husk::runtime
