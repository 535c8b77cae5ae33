// Decoded code that the machines of this process have in common. What code means depends on its
// bytes alone: a process that is to make many copies of one machine lets one of them run for a
// moment and learns from it; the copies' processes, forked off then, share these pages and decode
// little themselves. Holds no pointers into any machine.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

class KnownCode {
 public:
  // That of this process; at first it knows nothing.
  [[nodiscard]] static KnownCode& of_process();

  // While it learns, it is told what is decoded and tells nothing. Set while no vCPU runs.
  void learn(bool on) { learns_ = on; }
  [[nodiscard]] bool learns() const { return learns_; }

  // `bytes` at `key` (Block::key) mean `ops`. Any thread.
  void add(uint64_t key, std::span<const uint8_t> bytes, std::span<const Op> ops);

  struct Code {
    std::span<const Op> ops;
    std::span<const uint8_t> bytes;
  };
  // What the code at `key` means, which begins with `code`; null: it does not know. Stays.
  [[nodiscard]] const Code* find(uint64_t key, std::span<const uint8_t> code) const;

 private:
  template <class T>
  std::span<const T> keep(std::span<const T> what);

  static constexpr size_t kChunk = size_t{256} << 10;
  bool learns_ = false;
  std::mutex mutex_;  // while it learns
  std::unordered_map<uint64_t, Code> codes_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t used_ = kChunk;  // of the last one
};

}  // namespace husk::soft::interp
