// Keeps a VM of KVM open until it is killed, for the x86 lab.
//
// Linux patches its own code when the first VM comes and when the last one goes (the static keys of
// preempt notifiers in the scheduler and of local APICs that are off in KVM). QEMU 7.2's threads
// sometimes keep the translation with the breakpoint that such a patch goes through, and a
// processor of the lab then takes it for ever. While a VM with a vCPU is open, nothing is patched.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

int main() {
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const int vm = kvm < 0 ? -1 : ::ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0 || ::ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 || ::ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
    std::perror("keep_vm");
    return 1;
  }
  for (;;) ::pause();
}
