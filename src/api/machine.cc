#include "husk/machine.h"

#include <algorithm>

#include "base/try.h"

namespace husk::machine {

namespace {

constexpr uint64_t kPage = 4096;
// The models' physical addresses have 39 bits (docs/cpu-models.md), or what the host has if less.
constexpr uint64_t kMostForModels = uint64_t{256} << 30;

struct Rule {
  std::string_view verb;
  std::vector<VmState> from;
};

Rule rule_of(Operation operation) {
  switch (operation) {
    case Operation::kAddDevice:
      return {"add a device to", {VmState::kCreated}};
    case Operation::kStart:
      return {"start", {VmState::kCreated, VmState::kStopped}};
    case Operation::kPause:
      return {"pause", {VmState::kRunning}};
    case Operation::kResume:
      return {"resume", {VmState::kPaused}};
    case Operation::kStop:
      break;
  }
  return {"stop", {VmState::kRunning, VmState::kPaused}};
}

}  // namespace

std::string_view to_string(VmState state) {
  constexpr std::string_view kNames[] = {"created",  "starting", "running", "paused",
                                         "stopping", "stopped",  "error"};
  return kNames[static_cast<size_t>(state)];
}

Result<void> check_state(Operation operation, VmState actual) {
  const Rule rule = rule_of(operation);
  if (std::ranges::find(rule.from, actual) != rule.from.end()) return {};
  std::string expected;
  for (const VmState state : rule.from) {
    if (!expected.empty()) expected += " or ";
    expected += to_string(state);
  }
  return fail(ErrorKind::kState, "VM",
              "cannot " + std::string(rule.verb) + " it: expected state " + expected +
                  ", actual state " + std::string(to_string(actual)));
}

Result<void> VmConfig::validate() const {
  if (vcpu_count == 0) return fail(ErrorKind::kInvalidArgument, "vcpu_count", "must be at least 1");
  if (memory_size == 0 || memory_size % kPage != 0)
    return fail(ErrorKind::kInvalidArgument, "memory_size",
                "must be a positive multiple of 4096 bytes");
  const auto models = cpu_models(arch);
  if (std::ranges::find(models, cpu_model) == models.end())
    return fail(
        ErrorKind::kInvalidArgument, "cpu_model",
        std::string(name(cpu_model)) + " is no processor of " + std::string(host::name(arch)));
  if (cpu_model != CpuModel::kHost && memory_size > kMostForModels)
    return fail(ErrorKind::kInvalidArgument, "memory_size",
                "a processor like " + std::string(name(cpu_model)) + " has at most 256 GiB");
  return {};
}

VmConfig::Builder VmConfig::builder() { return {}; }

VmConfig::Builder::Builder() { config_.memory_size = host::default_vm_memory_size(); }

VmConfig::Builder& VmConfig::Builder::vcpus(uint32_t count) {
  config_.vcpu_count = count;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::memory_bytes(uint64_t bytes) {
  config_.memory_size = bytes;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::arch(CpuArch arch) {
  config_.arch = arch;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::kernel(std::string path) {
  config_.kernel_path = std::move(path);
  return *this;
}

VmConfig::Builder& VmConfig::Builder::cmdline(std::string text) {
  config_.kernel_cmdline = std::move(text);
  return *this;
}

VmConfig::Builder& VmConfig::Builder::initrd(std::string path) {
  config_.initrd_path = std::move(path);
  return *this;
}

VmConfig::Builder& VmConfig::Builder::rosetta(bool enabled) {
  config_.enable_rosetta = enabled;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::cpu_model(CpuModel model) {
  config_.cpu_model = model;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::nested_virtualization(bool enabled) {
  config_.nested_virtualization = enabled;
  return *this;
}

VmConfig::Builder& VmConfig::Builder::kernel_irqchip(bool enabled) {
  config_.kernel_irqchip = enabled;
  return *this;
}

Result<VmConfig> VmConfig::Builder::build() const {
  HUSK_TRY(config_.validate());
  return config_;
}

Result<void> VirtualMachine::register_irqfd(uint32_t, int, int) {
  return fail(ErrorKind::kUnsupported, "irqfd", "this machine has no interrupts by number");
}

Result<void> VirtualMachine::unregister_irqfd(uint32_t, int) { return {}; }

}  // namespace husk::machine
