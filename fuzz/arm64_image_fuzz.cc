// An aarch64 kernel file as an attacker would write it: recognised, unpacked and loaded into a
// small guest with an initrd.
//
// Input: byte 0 chooses the initrd's size, the rest is the file; with byte 0's top bit it is
// wrapped by gzip first. Property: no crash, no access beyond guest memory, a refused kernel leaves
// memory's begin as it was, an accepted one starts inside RAM above its device tree, which is
// sound.
#include <libfdt.h>
#include <zlib.h>

#include <memory>
#include <span>
#include <vector>

#include "boot/arm64/kernel.h"
#include "boot/arm64/layout.h"
#include "input.h"

namespace {

using namespace husk;  // NOLINT(google-build-using-namespace): what is fuzzed
using fuzz::require;

constexpr uint64_t kMemory = 24 << 20;
constexpr uint8_t kWrap = 0x80;
constexpr size_t kInitrdUnit = 256 << 10;

std::vector<std::byte> gzip(std::span<const std::byte> plain) {
  std::vector<std::byte> packed(plain.size() + plain.size() / 100 + 1024);
  z_stream stream{};
  require(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) ==
          Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void check_loaded(const memory::GuestMemory& memory, const boot::arm64::LoadedKernel& loaded) {
  require(memory.find(Gpa{loaded.entry.pc}, 1) != nullptr);
  require(loaded.entry.pc >= boot::arm64::kKernelBase);
  require(loaded.entry.x[0] == boot::arm64::kDeviceTree);
  for (const char c : loaded.description) require(c >= ' ' && c <= '~');
  const auto tree = memory.host_span(Gpa{boot::arm64::kDeviceTree}, 2 << 20).value();
  require(fdt_check_full(tree.data(), tree.size()) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const auto memory = memory::GuestMemory::create(boot::arm64::ram_layout(kMemory)).value();
  static const std::vector<std::byte> initrd(127 * kInitrdUnit);
  const auto file = std::as_bytes(std::span(data + 1, size - 1));
  const auto packed = (data[0] & kWrap) != 0 ? gzip(file) : std::vector<std::byte>{};
  boot::arm64::KernelRequest request;
  request.name = "fuzz";
  request.kernel = packed.empty() ? file : std::span<const std::byte>(packed);
  request.initrd = std::span(initrd).first((data[0] & ~kWrap) * kInitrdUnit);
  request.initrd_name = "initrd";
  request.command_line = "console=ttyAMA0";
  request.machine.cpus = {0, 1};
  request.machine.virtio_devices = 2;

  const auto loaded = boot::arm64::load_kernel(*memory, request);
  if (!loaded) {
    require(!loaded.error().why.empty() && loaded.error().why.find('\n') == std::string::npos);
    require(memory->load<uint64_t>(Gpa{boot::arm64::kDeviceTree}).value() == 0);
    require(memory->load<uint64_t>(Gpa{boot::arm64::kKernelBase}).value() == 0);
    return 0;
  }
  check_loaded(*memory, *loaded);
  require(memory->clear().has_value());
  return 0;
}
