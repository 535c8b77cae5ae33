#include "runtime/vsock_link.h"

#include "base/try.h"
#include "virtio/vsock.h"

namespace husk::runtime {
Result<std::unique_ptr<virtio::Device>> VsockLink::make_device(const VirtioDeviceConfig& config) {
  auto host = HUSK_TRY(net::VsockUnix::create(config.path.value_or("")));
  host_ = host.get();
  return std::make_unique<virtio::Vsock>(virtio::Vsock::kGuestCid, std::move(host));
}

Result<base::Fd> VsockLink::connect(uint32_t port, const net::Patience& patience) {
  base::Fd stream = HUSK_TRY(host_->open(port));
  HUSK_TRY(net::await_vsock(stream, port, patience));
  return stream;
}

}  // namespace husk::runtime
