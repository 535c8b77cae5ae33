// A chip on an eight-bit bus. As behind an ISA bridge, wider accesses come to it byte by byte,
// lowest address first, so an OUT of 16 bits to an index port sets the data port beside it too.
#pragma once

#include "contract/io_handler.h"

namespace husk::platform {

class ByteDevice : public contract::IoHandler {
 public:
  uint64_t read(uint64_t offset, uint32_t size) final {
    uint64_t value = 0;
    for (uint32_t i = 0; i < size; ++i) value |= uint64_t{read_byte(offset + i)} << 8 * i;
    return value;
  }
  void write(uint64_t offset, uint32_t size, uint64_t value) final {
    for (uint32_t i = 0; i < size; ++i)
      write_byte(offset + i, static_cast<uint8_t>(value >> 8 * i));
  }

 protected:
  // One bus cycle each, `offset` within the device's window; threads as for IoHandler.
  virtual uint8_t read_byte(uint64_t offset) = 0;
  virtual void write_byte(uint64_t offset, uint8_t value) = 0;
};

}  // namespace husk::platform
