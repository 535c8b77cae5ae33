// The run loop, written once for every backend: step a vCPU, answer its exits, until the machine
// ends.
#pragma once

#include "husk/seam.h"

#include "platform/bus.h"
#include "runtime/debug_gate.h"
#include "runtime/machine_end.h"

namespace husk::runtime {

// On the vCPU's own thread. Returns when `end` is set.
template <seam::HypervisorVcpu Vcpu>
void run_vcpu(Vcpu& vcpu, uint32_t id, const platform::Bus& ports, const platform::Bus& mmio,
              MachineEnd& end, DebugGate& debug) {
  using Kind = seam::VcpuExit::Kind;
  while (!end.reached()) {
    const seam::VcpuExit exit = vcpu.step();
    switch (exit.kind) {
      case Kind::kCanceled:
        end.wait_while_paused(id);
        break;
      case Kind::kIo:
        if (exit.write) {
          ports.write(exit.port, exit.size, exit.data);
        } else {
          vcpu.set_read_data(ports.read(exit.port, exit.size));
        }
        break;
      case Kind::kMmio:
        if (exit.write) {
          mmio.write(exit.phys_addr, exit.size, exit.data);
        } else {
          vcpu.set_read_data(mmio.read(exit.phys_addr, exit.size));
        }
        break;
      case Kind::kDebug:
        debug.stopped(id, {exit.cause, exit.virt_addr});
        end.wait_while_paused(id);
        break;
      case Kind::kShutdown:
        end.reach(EndReason::kTripleFault, 0);
        break;
      case Kind::kPowerOff:
        end.reach(EndReason::kPowerOff, 0);
        break;
      case Kind::kReset:
        end.reach(EndReason::kReset, 0);
        break;
      case Kind::kHalt:
        end.wait_until_reached();
        break;
      default:
        end.reach(EndReason::kBackendError, exit.raw);
        break;
    }
  }
}

}  // namespace husk::runtime
