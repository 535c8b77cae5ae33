// Where the host reaches the agent: a port of the guest's vsock.
#pragma once

#include "agent/guest/descriptor.h"

namespace husk::agent {

// Listens on kPort. Invalid: the guest has no vsock, or the port is taken.
[[nodiscard]] Descriptor open_listener();

// The next connection that waits at a listener of vsock or Unix sockets; invalid: none. Those that
// are not the host's are hung up on: a process of the guest's may not have the agent run something.
[[nodiscard]] Descriptor accept_host(int listener);

}  // namespace husk::agent
