// A stream of bytes between a console port of the guest and whoever holds its other end on the
// host.
#pragma once

#include <cstddef>
#include <span>

namespace husk::contract {

// Guest to host. Called with the device's lock held, on a vCPU's thread or the
// doorbells': must not block for long.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> data) = 0;
};

// Host to guest. The device takes what it has room for and returns how much that was; when room
// appears again it calls the `on_room` hook that was given to it. Thread-safe.
class ByteInput {
 public:
  virtual ~ByteInput() = default;
  virtual size_t push(std::span<const std::byte> data) = 0;
};

}  // namespace husk::contract
