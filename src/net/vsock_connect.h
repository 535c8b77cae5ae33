// Connections to a guest's ports, from whoever is at the host's side of its vsock; see
// vsock_unix.h.
#pragma once

#include <cstdint>
#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::net {

// How long it may take, and what ends it early: a descriptor that becomes readable (kState), or
// none.
struct Patience {
  uint64_t limit_ns = 10'000'000'000;
  int giving_up = -1;
};

// A stream to the guest's `port`, of the machine whose vsock is at `path`, in whichever process.
// kNotFound: there is no machine, or nobody listens there in the guest; kTimeout: no answer.
[[nodiscard]] Result<base::Fd> connect_vsock(const std::string& path, uint32_t port,
                                             const Patience& patience);

// Reads the line that begins a stream, "OK PORT\n", and no further.
[[nodiscard]] Result<void> await_vsock(const base::Fd& stream, uint32_t port,
                                       const Patience& patience);

}  // namespace husk::net
