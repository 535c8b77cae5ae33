#include "runtime/container_machine.h"

#include <fmt/core.h>

#include "husk/mapping.h"

#include "agent/host/initramfs.h"
#include "agent/protocol/message.h"
#include "base/try.h"
#include "runtime/hypervisor.h"
#include "virtio/block.h"
#include "virtio/empty_store.h"

namespace husk::runtime {
namespace {

// A kernel that tests its ciphers at every start spends a third of its boot on that.
constexpr std::string_view kKernelOptions = "quiet panic=-1 cryptomgr.notests psi=0";

Result<std::unique_ptr<virtio::Device>> make_empty_disk() {
  return std::make_unique<virtio::Block>(std::make_unique<virtio::EmptyStore>(),
                                         std::string(agent::kRootDiskSerial));
}

Result<void> add_root_disk(ManagedMachine& machine, const std::optional<std::string>& path) {
  VirtioDeviceConfig root = VirtioDeviceConfig::block(path.value_or(""), true);
  const auto serial = std::as_bytes(std::span(agent::kRootDiskSerial));
  root.config.assign(serial.begin(), serial.end());
  return path ? machine.add_virtio_device(root) : machine.add_device(root, make_empty_disk);
}

}  // namespace

std::string container_command_line() {
  return fmt::format("console={} {} {}", kSerialConsole, kKernelOptions, kContainerOptions);
}

Result<ContainerMachine> build_container_machine(const ContainerPlan& plan,
                                                 contract::ByteSink& serial) {
  ContainerMachine made;
  machine::VmConfig config = HUSK_TRY(mapping::to_machine(plan.config));
  config.kernel_irqchip = plan.kernel_irqchip;
  made.hypervisor = HUSK_TRY(open_hypervisor(plan.backend));
  made.vm = HUSK_TRY(made.hypervisor->create_vm(config));
  ManagedMachine& machine = made.machine();
  MachineExtras extras;
  extras.serial_output = &serial;
  HUSK_TRY(machine.set_extras(std::move(extras)));
  HUSK_TRY(add_root_disk(machine, plan.config.root_disk));
  HUSK_TRY(machine.add_virtio_device(VirtioDeviceConfig::entropy()));
  VirtioDeviceConfig vsock = VirtioDeviceConfig::vsock();
  if (!plan.vsock.empty()) vsock.path = plan.vsock;
  HUSK_TRY(machine.add_virtio_device(vsock));
  return made;
}

Result<void> boot_container_machine(const ContainerPlan& plan, const ContainerMachine& machine,
                                    contract::ByteSink& serial) {
  MachineExtras extras;
  extras.serial_output = &serial;
  extras.initrd = HUSK_TRY(agent::build_initramfs(plan.kernel.modules, agent::kWantedModules));
  HUSK_TRY(machine.machine().set_extras(std::move(extras)));
  return machine.machine().start();
}

}  // namespace husk::runtime
