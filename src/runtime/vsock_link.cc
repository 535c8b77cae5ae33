#include "runtime/vsock_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/clock.h"
#include "base/try.h"
#include "virtio/vsock.h"

namespace husk::runtime {
namespace {

// The next byte, waited for until `deadline`; an error says what there was instead.
Result<char> read_byte(const base::Fd& socket, const std::string& subject, uint64_t deadline) {
  for (;;) {
    char byte = 0;
    const ssize_t n = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
    if (n == 1) return byte;
    if (n == 0) return fail(ErrorKind::kNotFound, subject, "nobody listens there in the guest");
    if (errno != EAGAIN && errno != EINTR) return fail_errno(subject, "cannot read");
    const uint64_t now = base::monotonic_ns();
    if (now >= deadline) return fail(ErrorKind::kTimeout, subject, "the guest has not answered");
    pollfd wait{socket.get(), POLLIN, 0};
    const uint64_t left_ms = (deadline - now) / 1'000'000 + 1;
    (void)::poll(&wait, 1, static_cast<int>(std::min<uint64_t>(left_ms, 60'000)));
  }
}

}  // namespace

Result<std::unique_ptr<virtio::Device>> VsockLink::make_device(const VirtioDeviceConfig& config) {
  auto host = HUSK_TRY(net::VsockUnix::create(config.path.value_or("")));
  host_ = host.get();
  return std::make_unique<virtio::Vsock>(virtio::Vsock::kGuestCid, std::move(host));
}

// Byte by byte: what is behind the line is the caller's.
Result<base::Fd> VsockLink::connect(uint32_t port, uint64_t limit_ns) {
  const std::string subject = "vsock port " + std::to_string(port);
  const uint64_t deadline = base::monotonic_ns() + limit_ns;
  base::Fd socket = HUSK_TRY(host_->open(port));
  while (HUSK_TRY(read_byte(socket, subject, deadline)) != '\n') {
  }
  return socket;
}

}  // namespace husk::runtime
