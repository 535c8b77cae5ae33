// PID 1 of a Husk guest: brings the machine up, serves the host, and powers the machine off.
#include <sys/reboot.h>
#include <unistd.h>

#include <csignal>

#include "agent/guest/agent.h"
#include "agent/guest/listener.h"
#include "agent/guest/setup.h"

int main() {
  using namespace husk::agent;  // NOLINT(google-build-using-namespace)
  mount_early();
  load_modules();
  prepare_container();
  Descriptor listener = open_listener();
  if (!listener.valid()) {
    console_line("husk-agent: cannot listen for the host");
  } else {
    // The lifecycle contract's marker; the guest has no network but its loopback. The host connects
    // as soon as it has seen it.
    console_line("VMRS_READY 127.0.0.1");
    Agent(std::move(listener), {enter_root, take_over_moment, write_names}).run();
  }
  ::kill(-1, SIGKILL);
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}
