// A kernel file as an attacker would write it: recognised and loaded into a small guest by every
// path.
//
// Input: byte 0 chooses the boot path, the rest is the file. Property: no crash, no access beyond
// guest memory, a refused kernel leaves the first pages as they were, an accepted one starts inside
// RAM.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "boot/kernel.h"
#include "boot/layout.h"

namespace {

constexpr uint64_t kMemory = 24 << 20;
constexpr uint8_t kPaths = 5;

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace husk;
  if (size == 0) return 0;
  static const auto memory = memory::GuestMemory::create(boot::ram_layout(kMemory)).value();
  boot::KernelRequest request;
  request.name = "fuzz";
  request.kernel = std::as_bytes(std::span(data + 1, size - 1));
  request.initrd = request.kernel.first(request.kernel.size() / 2);
  request.initrd_name = "initrd";
  request.command_line = "console=ttyS0";
  request.path = static_cast<boot::BootPath>(data[0] % kPaths);

  const auto untouched = memory->load<uint64_t>(Gpa{boot::kBootInfoAddress}).value();
  const auto loaded = boot::load_kernel(*memory, request);
  if (!loaded) {
    check(!loaded.error().why.empty() && loaded.error().why.find('\n') == std::string::npos);
    check(memory->load<uint64_t>(Gpa{boot::kBootInfoAddress}).value() == untouched);
    return 0;
  }
  check(memory->find(Gpa{loaded->entry.rip}, 1) != nullptr);
  check(loaded->path != boot::BootPath::kAuto);
  check((loaded->entry.rflags & 0x200) == 0);
  // The next input finds zeroes again; dropping the pages is cheaper than clearing them.
  const auto all = memory->host_span(Gpa{0}, kMemory).value();
  check(::madvise(all.data(), all.size(), MADV_REMOVE) == 0);
  return 0;
}
