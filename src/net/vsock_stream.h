// A Unix stream socket as the host's end of a vsock connection.
#pragma once

#include "base/fd.h"
#include "contract/vsock_port.h"

namespace husk::net {

class VsockSocket final : public contract::VsockStream {
 public:
  VsockSocket(uint64_t id, base::Fd socket) : VsockStream(id), socket_(std::move(socket)) {}

  // Tells the peer "OK PORT\n".
  void connected(uint32_t host_port) override;
  Moved read(std::span<std::byte> into) override;
  Moved write(std::span<const std::byte> from) override;
  void end_writing() override;
  void end_reading() override;
  [[nodiscard]] bool gone() const override;

 private:
  base::Fd socket_;
};

}  // namespace husk::net
