// PID 1 of a Husk guest: brings the machine up, serves the host, and powers the machine off.
#include <sys/reboot.h>
#include <unistd.h>

#include <csignal>

#include "agent/guest/agent.h"
#include "agent/guest/setup.h"

int main() {
  using namespace husk::agent;  // NOLINT(google-build-using-namespace)
  mount_early();
  load_modules();
  const int port = open_control_port();
  if (port < 0) {
    console_line("husk-agent: no control port");
  } else {
    // The lifecycle contract's marker; the guest has no network but its loopback.
    console_line("VMRS_READY 127.0.0.1");
    Agent(port, enter_root, take_over_moment).run();
  }
  ::kill(-1, SIGKILL);
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}
