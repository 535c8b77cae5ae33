#include "backend/soft/fpu/code_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/checked.h"

namespace husk::soft::fpu {

namespace {

#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;  // Linux 6.1
#endif

// The file, where large pages fit. Nothing when the host refuses.
base::Mapping map_aligned(size_t size, int protection, const base::Fd& file) {
  const size_t reserved = size + CodeArena::kLargePage;
  void* room = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return {};
  auto* begin = static_cast<std::byte*>(room);
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const size_t before = base::align_up(address, CodeArena::kLargePage) - address;
  std::byte* start = begin + before;
  if (before != 0) ::munmap(begin, before);
  ::munmap(start + size, reserved - before - size);
  base::Mapping mapping(start, size);
  if (::mmap(start, size, protection, MAP_SHARED | MAP_FIXED, file.get(), 0) == MAP_FAILED)
    return {};
  return mapping;
}

}  // namespace

bool CodeArena::map() {
  if (writable_.data() != nullptr) return true;
  const base::Fd file(::memfd_create("husk-code", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size_)) != 0) return false;
  base::Mapping writable = map_aligned(size_, PROT_READ | PROT_WRITE, file);
  base::Mapping executable = map_aligned(size_, PROT_READ | PROT_EXEC, file);
  if (writable.data() == nullptr || executable.data() == nullptr) return false;
  writable_ = std::move(writable);
  executable_ = std::move(executable);
  return true;
}

void CodeArena::settle(size_t begin, size_t end) {
  const size_t first = base::align_up(begin, kLargePage), last = base::align_down(end, kLargePage);
  if (first >= last) return;
  for (const base::Mapping* mapping : {&writable_, &executable_})
    ::madvise(mapping->data() + first, last - first, MADV_COLLAPSE);
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
