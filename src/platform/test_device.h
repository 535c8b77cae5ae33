// QEMU's pc-testdev, which test kernels expect: a scratch register at port 0xe0, a page flush at
// 0xe4 that has nothing to flush here, and interrupt lines as ports from 0x2000.
#pragma once

#include <array>
#include <atomic>
#include <functional>

#include "contract/irq_line.h"
#include "platform/byte_device.h"

namespace husk::platform {

class TestScratch : public ByteDevice {
 public:
  static constexpr uint16_t kBase = 0xe0, kPorts = 8;
  [[nodiscard]] std::string_view name() const override { return "test-scratch"; }

 private:
  uint8_t read_byte(uint64_t offset) override {
    return offset < bytes_.size() ? bytes_[offset].load() : 0;
  }
  void write_byte(uint64_t offset, uint8_t value) override {
    if (offset < bytes_.size()) bytes_[offset].store(value);
  }

  std::array<std::atomic<uint8_t>, 4> bytes_{};
};

// A write of any width drives the one line that the port is for.
class TestIrqLines : public contract::IoHandler {
 public:
  static constexpr uint16_t kBase = 0x2000, kPorts = 24;
  explicit TestIrqLines(const std::function<contract::IrqLine(uint32_t gsi)>& line) {
    for (uint32_t gsi = 0; gsi < kPorts; ++gsi) lines_[gsi] = line(gsi);
  }
  [[nodiscard]] std::string_view name() const override { return "test-irq-lines"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t offset, uint32_t, uint64_t value) override { lines_[offset].set(value != 0); }

 private:
  std::array<contract::IrqLine, kPorts> lines_;
};

}  // namespace husk::platform
