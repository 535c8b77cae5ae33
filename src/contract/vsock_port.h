// Where a guest's vsock device meets what serves the other ends of its connections on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace husk::contract {

// The host's end of one connection. The device owns it and calls it with its lock held: no call
// blocks, and none calls the device. To destroy it is to hang up.
class VsockStream {
 public:
  enum class Way : uint8_t { kOpen, kEnded, kBroken };
  // Fewer bytes than asked for and still open: VsockPort::ready() tells when to try again.
  struct Moved {
    size_t bytes = 0;
    Way way = Way::kOpen;
  };

  explicit VsockStream(uint64_t id) : id_(id) {}
  virtual ~VsockStream() = default;
  VsockStream(const VsockStream&) = delete;
  VsockStream& operator=(const VsockStream&) = delete;

  // Unlike that of every other stream of the same VsockHost, also of those that are gone.
  [[nodiscard]] uint64_t id() const { return id_; }

  // A connection that the host has opened: the guest has accepted it.
  virtual void connected(uint32_t host_port) = 0;
  // What the host sends. kEnded: it will send no more.
  virtual Moved read(std::span<std::byte> into) = 0;
  // kBroken: the host takes no more.
  virtual Moved write(std::span<const std::byte> from) = 0;
  // The guest will send, or take, no more.
  virtual void end_writing() = 0;
  virtual void end_reading() = 0;
  // The host has closed both directions.
  [[nodiscard]] virtual bool gone() const = 0;

 private:
  uint64_t id_;
};

// The device, as the host's side sees it. Any thread.
class VsockPort {
 public:
  virtual ~VsockPort() = default;
  // Asks the guest's `guest_port` for a connection: then connected(), or the stream is destroyed,
  // perhaps before this returns.
  virtual void open(uint32_t guest_port, std::unique_ptr<VsockStream> stream) = 0;
  // The stream of that id can be read or written, or has ended, since it last said that it could
  // not. Ids of streams that are gone are ignored.
  virtual void ready(uint64_t id) = 0;
};

class VsockHost {
 public:
  // No call to the port is under way when it returns, and none comes any more.
  virtual ~VsockHost() = default;
  // Once, before connect(). The port outlives the host.
  virtual void start(VsockPort& port) = 0;
  // The guest asks for the host's `port`; null: nobody listens there. With the device's lock held:
  // neither blocks nor calls the device.
  [[nodiscard]] virtual std::unique_ptr<VsockStream> connect(uint32_t port) = 0;
};

}  // namespace husk::contract
