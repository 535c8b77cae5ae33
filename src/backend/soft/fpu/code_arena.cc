#include "backend/soft/fpu/code_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/checked.h"

namespace husk::soft::fpu {

bool CodeArena::map() {
  if (writable_.data() != nullptr) return true;
  const base::Fd file(::memfd_create("husk-code", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size_)) != 0) return false;
  auto writable =
      base::Mapping::map(size_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0, "code");
  auto executable =
      base::Mapping::map(size_, PROT_READ | PROT_EXEC, MAP_SHARED, file.get(), 0, "code");
  if (!writable || !executable) return false;
  writable_ = std::move(*writable);
  executable_ = std::move(*executable);
  return true;
}

const void* CodeArena::add(std::span<const uint8_t> code) {
  if (!map() || code.size() > room()) return nullptr;
  uint8_t* at = next();
  std::memcpy(at, code.data(), code.size());
  take(at + code.size());
  return executable(at);
}

void CodeArena::release_room() {
  if (writable_.data() == nullptr) return;
  const size_t kept = base::align_up(used_, static_cast<size_t>(::getpagesize()));
  if (kept < size_) ::madvise(begin() + kept, size_ - kept, MADV_REMOVE);
}

void CodeArena::take(const uint8_t* end) {
  used_ = base::align_up(static_cast<size_t>(end - begin()), 16);
}

}  // namespace husk::soft::fpu
