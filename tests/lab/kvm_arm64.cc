// Whether the lab's /dev/kvm is a real one: a VM with a GICv3 and a vCPU runs kvm_arm64_guest.S,
// and each exit is what Linux's Documentation/virt/kvm/api.rst says. Status 0 if so; otherwise 1,
// and the last line says what was not.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
extern const unsigned char guest_code[];
extern const unsigned char guest_code_end[];
}

namespace {

constexpr uint64_t kRam = 0x40000000;
constexpr uint64_t kRamSize = 0x10000;
constexpr uint64_t kDevice = 0x09000000;
constexpr uint64_t kRegisterPc =
    KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc);

// One step of the test: prints it, and ends the program where it fails.
int step(const char* name, int result) {
  std::printf("%s: %s\n", name, result >= 0 ? "ok" : std::strerror(errno));
  if (result < 0) std::exit(1);
  return result;
}

void expect(const char* name, uint64_t actual, uint64_t expected) {
  if (actual == expected) return;
  std::printf("%s: 0x%llx, not 0x%llx\n", name, static_cast<unsigned long long>(actual),
              static_cast<unsigned long long>(expected));
  std::exit(1);
}

void add_ram(int vm) {
  void* host =
      ::mmap(nullptr, kRamSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  step("memory", host == MAP_FAILED ? -1 : 0);
  std::memcpy(host, guest_code, static_cast<size_t>(guest_code_end - guest_code));
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kRam;
  region.memory_size = kRamSize;
  region.userspace_addr = reinterpret_cast<uint64_t>(host);
  step("KVM_SET_USER_MEMORY_REGION", ::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
}

int create_vcpu(int vm) {
  const int vcpu = step("KVM_CREATE_VCPU", ::ioctl(vm, KVM_CREATE_VCPU, 0));
  kvm_vcpu_init init{};
  step("KVM_ARM_PREFERRED_TARGET", ::ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init));
  init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
  step("KVM_ARM_VCPU_INIT", ::ioctl(vcpu, KVM_ARM_VCPU_INIT, &init));
  const uint64_t entry = kRam;
  const kvm_one_reg pc{.id = kRegisterPc, .addr = reinterpret_cast<uint64_t>(&entry)};
  step("KVM_SET_ONE_REG pc", ::ioctl(vcpu, KVM_SET_ONE_REG, &pc));
  return vcpu;
}

kvm_run* map_run(int kvm, int vcpu) {
  const int size = step("KVM_GET_VCPU_MMAP_SIZE", ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
  void* run =
      ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  step("kvm_run", run == MAP_FAILED ? -1 : 0);
  return static_cast<kvm_run*>(run);
}

void expect_mmio(const kvm_run& run, uint64_t address, bool write, uint32_t size, uint64_t data) {
  expect("exit reason", run.exit_reason, KVM_EXIT_MMIO);
  expect("address", run.mmio.phys_addr, address);
  expect("is a write", run.mmio.is_write, write ? 1 : 0);
  expect("size", run.mmio.len, size);
  uint64_t seen = 0;
  std::memcpy(&seen, run.mmio.data, size);
  if (write) expect("data", seen, data);
}

void run_guest(int vcpu, kvm_run& run) {
  step("to the first write", ::ioctl(vcpu, KVM_RUN, 0));
  expect_mmio(run, kDevice, true, 1, 0x5a);
  step("to the read", ::ioctl(vcpu, KVM_RUN, 0));
  expect_mmio(run, kDevice + 4, false, 4, 0);
  const uint32_t answer = 0xc0ffee11;
  std::memcpy(run.mmio.data, &answer, sizeof answer);
  step("to the second write", ::ioctl(vcpu, KVM_RUN, 0));
  expect_mmio(run, kDevice + 8, true, 8, answer);
  step("to power off", ::ioctl(vcpu, KVM_RUN, 0));
  expect("exit reason", run.exit_reason, KVM_EXIT_SYSTEM_EVENT);
  expect("system event", run.system_event.type, KVM_SYSTEM_EVENT_SHUTDOWN);
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int kvm = step("/dev/kvm", ::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  expect("API version", static_cast<uint64_t>(::ioctl(kvm, KVM_GET_API_VERSION, 0)), 12);
  const int vm = step("KVM_CREATE_VM", ::ioctl(kvm, KVM_CREATE_VM, 0));
  kvm_create_device gic{.type = KVM_DEV_TYPE_ARM_VGIC_V3, .fd = 0, .flags = KVM_CREATE_DEVICE_TEST};
  step("a GICv3 is offered", ::ioctl(vm, KVM_CREATE_DEVICE, &gic));
  add_ram(vm);
  const int vcpu = create_vcpu(vm);
  run_guest(vcpu, *map_run(kvm, vcpu));
  std::printf("all exits were as they should be\n");
  return 0;
}
