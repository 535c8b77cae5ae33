#include "backend/soft/fpu/code_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/checked.h"

namespace husk::soft::fpu {

bool CodeArena::map() {
  const base::Fd file(::memfd_create("husk-code", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), kSize) != 0) return false;
  auto writable =
      base::Mapping::map(kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0, "code");
  auto executable =
      base::Mapping::map(kSize, PROT_READ | PROT_EXEC, MAP_SHARED, file.get(), 0, "code");
  if (!writable || !executable) return false;
  writable_ = std::move(*writable);
  executable_ = std::move(*executable);
  return true;
}

const void* CodeArena::add(std::span<const uint8_t> code) {
  if (writable_.data() == nullptr && !map()) return nullptr;
  if (used_ + code.size() > kSize) return nullptr;
  std::memcpy(writable_.data() + used_, code.data(), code.size());
  const void* at = executable_.data() + used_;
  used_ = base::align_up(used_ + code.size(), 16);
  return at;
}

}  // namespace husk::soft::fpu
