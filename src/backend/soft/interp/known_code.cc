#include "backend/soft/interp/known_code.h"

#include <algorithm>
#include <cstring>

namespace husk::soft::interp {

KnownCode& KnownCode::of_process() {
  static KnownCode code;
  return code;
}

template <class T>
std::span<const T> KnownCode::keep(std::span<const T> what) {
  const size_t size = (what.size_bytes() + alignof(Op) - 1) & ~(alignof(Op) - 1);
  if (used_ + size > kChunk) {
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunk));
    used_ = 0;
  }
  std::byte* at = chunks_.back().get() + used_;
  used_ += size;
  std::memcpy(at, what.data(), what.size_bytes());
  return {reinterpret_cast<const T*>(at), what.size()};
}

void KnownCode::add(uint64_t key, std::span<const uint8_t> bytes, std::span<const Op> ops) {
  const std::lock_guard lock(mutex_);
  codes_[key] = {keep(ops), keep(bytes)};
}

const KnownCode::Code* KnownCode::find(uint64_t key, std::span<const uint8_t> code) const {
  if (learns_) return nullptr;
  const auto found = codes_.find(key);
  if (found == codes_.end() || found->second.bytes.size() > code.size()) return nullptr;
  const Code& known = found->second;
  return std::ranges::equal(known.bytes, code.first(known.bytes.size())) ? &known : nullptr;
}

}  // namespace husk::soft::interp
