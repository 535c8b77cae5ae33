#include "agent/guest/listener.h"

// clang-format off: older ones of the kernel's headers need the C library's before them
#include <sys/socket.h>
#include <linux/vm_sockets.h>
// clang-format on

#include "agent/protocol/message.h"

namespace husk::agent {
namespace {

constexpr int kBacklog = 64;

bool from_host(const sockaddr_vm& address, socklen_t size) {
  return address.svm_family != AF_VSOCK ||
         (size >= sizeof(address) && address.svm_cid == VMADDR_CID_HOST);
}

}  // namespace

Descriptor open_listener() {
  Descriptor listener(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = kPort;
  if (!listener.valid() ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener.get(), kBacklog) != 0)
    return {};
  return listener;
}

Descriptor accept_host(int listener) {
  for (;;) {
    sockaddr_vm address{};
    socklen_t size = sizeof(address);
    Descriptor peer(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size,
                              SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!peer.valid() || from_host(address, size)) return peer;
  }
}

}  // namespace husk::agent
