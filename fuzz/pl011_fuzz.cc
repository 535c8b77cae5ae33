// The aarch64 guest's serial port before a guest that reads and writes anywhere in its window, with
// any width, while the host types. What a register yields must fit the access, the port must not
// take more than it has room for, and every byte that it took is read at most once. Its line must
// show what UARTMIS says.
#include <span>

#include "input.h"
#include "platform/pl011.h"
#include "platform/testing/recorders.h"

namespace {

using namespace husk::platform;  // NOLINT(google-build-using-namespace): one chip
using husk::fuzz::Input;
using husk::fuzz::require;

constexpr uint64_t kData = 0, kControl = 0x30, kMaskedStatus = 0x40, kLoopback = 0x80;

class Fixture {
 public:
  Fixture() {
    uart_.set_on_room([this] { push(std::as_bytes(std::span("more", 4))); });
  }

  void operate(Input& input) {
    switch (input.take<uint8_t>() % 4) {
      case 0:
        return push(input.take_bytes(input.take<uint8_t>() & 31));
      case 1:
        return write(input);
      default:
        return read(input);
    }
  }

  void check() {
    require(line_.level() == (uart_.read(kMaskedStatus, 4) != 0));
    // A guest that writes for ever makes the host keep nothing: only this recorder does.
    output_.text.clear();
  }

 private:
  void push(std::span<const std::byte> data) {
    const size_t taken = uart_.push(data);
    require(taken <= 16 && taken <= data.size());
    taken_ += taken;
  }

  // Mostly a register.
  static uint64_t offset(Input& input, uint32_t size) {
    const auto choice = input.take<uint16_t>();
    const uint64_t offset = (choice & 0x8000) != 0 ? choice % Pl011::kSize : choice % 0x4c;
    return offset & ~uint64_t{size - 1};
  }

  void write(Input& input) {
    const uint32_t size = input.take_width();
    const uint64_t at = offset(input, size), value = input.take<uint32_t>();
    uart_.write(at, size, value);
    looped_ = looped_ || (uart_.read(kControl, 4) & kLoopback) != 0;
  }

  void read(Input& input) {
    const uint32_t size = input.take_width();
    const uint64_t at = offset(input, size), before = uart_.read(0x18, 4);
    const uint64_t value = uart_.read(at, size);
    require(size == 8 || value >> size * 8 == 0);
    // A read of any part of UARTDR takes a byte, when there is one (RXFE is clear).
    if (at / 4 == kData && (before & 0x10) == 0) ++read_;
    require(looped_ || read_ <= taken_);
  }

  testing::LineRecorder line_;
  testing::ByteRecorder output_;
  size_t taken_ = 0, read_ = 0;
  bool looped_ = false;  // then the guest reads what it wrote
  Pl011 uart_{line_.line(), output_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Fixture port;
  while (!input.empty()) {
    port.operate(input);
    port.check();
  }
  return 0;
}
