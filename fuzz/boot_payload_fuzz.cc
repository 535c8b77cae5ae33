// A compressed kernel inside a bzImage, as an attacker would write it.
//
// Input: byte 0 chooses the compression's magic number, bytes 1 and 2 the size that the image
// claims; the rest is the stream behind the magic. Property: no crash, no write beyond the buffer,
// and never more than the claimed size.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "boot/decompress.h"
#include "boot/vmlinux.h"

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kLimit = 4 << 20;

Bytes magic(uint8_t choice) {
  static const std::array<std::vector<uint8_t>, 5> kMagics{{{},
                                                            {0x1f, 0x8b, 8, 0},
                                                            {0x02, 0x21, 0x4c, 0x18},
                                                            {0xfd, '7', 'z', 'X', 'Z', 0},
                                                            {0x28, 0xb5, 0x2f, 0xfd}}};
  const auto bytes = std::as_bytes(std::span(kMagics[choice % kMagics.size()]));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace husk;
  if (size < 3) return 0;
  Bytes payload = magic(data[0]);
  const auto stream = std::as_bytes(std::span(data + 3, size - 3));
  payload.insert(payload.end(), stream.begin(), stream.end());
  const uint32_t claimed = data[1] | data[2] << 8;

  // Exactly sized on the heap, so that the sanitizer sees a write one byte too far.
  Bytes out(claimed);
  (void)boot::decompress(boot::detect_compression(payload), payload, out);

  for (int i = 0; i < 4; ++i) payload.push_back(static_cast<std::byte>(claimed >> 8 * i));
  boot::SetupHeader header;
  header.init_size = kLimit;
  header.payload = payload;
  const auto vmlinux = boot::extract_vmlinux("fuzz", header, kLimit);
  if (vmlinux && vmlinux->bytes.size() != claimed) std::abort();
  return 0;
}
