// A machine's vsock: makes the device for each run, and reaches the guest's ports through it.
#pragma once

#include <cstdint>
#include <memory>

#include "husk/error.h"
#include "husk/types.h"

#include "base/fd.h"
#include "net/vsock_connect.h"
#include "net/vsock_unix.h"
#include "virtio/device.h"

namespace husk::runtime {

class VsockLink {
 public:
  // With `config.path`, its host's side is there: see net/vsock_unix.h. connect() is for the device
  // that was made last.
  [[nodiscard]] Result<std::unique_ptr<virtio::Device>> make_device(
      const VirtioDeviceConfig& config);

  // A stream socket to the guest's `port`. While the device lives; any thread. kNotFound: the guest
  // refused; kTimeout: it has not answered.
  [[nodiscard]] Result<base::Fd> connect(uint32_t port, const net::Patience& patience);

 private:
  net::VsockUnix* host_ = nullptr;  // the device's
};

}  // namespace husk::runtime
