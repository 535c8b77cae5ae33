// The host's ports of a guest's vsock device, as Unix sockets, by Firecracker's convention:
//  - who connects to PATH and writes "CONNECT PORT\n" is connected to that port of the guest, reads
//    "OK HOST_PORT\n", and then has the stream; end of file instead: the guest refused;
//  - a guest that connects to port P of the host reaches who listens at PATH_P.
//
// One thread waits for all sockets; the streams themselves are the device's.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "husk/error.h"

#include "base/fd.h"
#include "contract/vsock_port.h"

namespace husk::net {

class VsockUnix final : public contract::VsockHost {
 public:
  static constexpr size_t kMostGreetings = 128;  // peers that have not yet said where to

  // Listens at `path`; "": nowhere, and guests are refused.
  [[nodiscard]] static Result<std::unique_ptr<VsockUnix>> create(std::string path);
  ~VsockUnix() override;

  // A socket to the guest's port, after start(): its first bytes are "OK HOST_PORT\n", or it ends.
  // Any thread.
  [[nodiscard]] Result<base::Fd> open(uint32_t guest_port);

  // contract::VsockHost
  void start(contract::VsockPort& port) override;
  [[nodiscard]] std::unique_ptr<contract::VsockStream> connect(uint32_t port) override;

 private:
  VsockUnix() = default;
  void run();
  // False: to end.
  [[nodiscard]] bool handle(uint64_t id, uint32_t events);
  void accept_all();
  void hear_greeting(uint64_t id, bool ended);
  [[nodiscard]] bool watch(int operation, int fd, uint64_t id, uint32_t events);
  // A stream whose every change the device is told; null: it cannot be watched.
  [[nodiscard]] std::unique_ptr<contract::VsockStream> make_stream(int operation, uint64_t id,
                                                                   base::Fd socket);
  [[nodiscard]] uint64_t new_id() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  static constexpr uint64_t kStop = 0, kListener = 1;  // ids that are no socket's
  std::string path_;
  base::Fd epoll_, stop_, listener_;
  contract::VsockPort* port_ = nullptr;
  std::map<uint64_t, base::Fd> greetings_;  // the thread's
  std::atomic<uint64_t> next_id_{2};
  std::thread thread_;
};

}  // namespace husk::net
