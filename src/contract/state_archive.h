// A device's state on its way into a snapshot or out of one. A device describes its state once, in
// a function that is called for both directions:
//
//   void Chip::transfer_state(StateArchive& state) {
//     state.version(1);
//     state.value(control_);
//     state.check(control_ < 4, "control");
//   }
//
// Bytes are little-endian and without padding. What is read may be anything: the first thing that
// is wrong is kept for finish(), and everything after it reads as zero. A device whose state did
// not finish well must not be used any more.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "husk/error.h"

namespace husk::contract {

class StateArchive {
 public:
  // Writes.
  StateArchive() = default;
  // Reads `bytes`, which outlive it.
  explicit StateArchive(std::span<const std::byte> bytes) : in_(bytes), reading_(true) {}

  [[nodiscard]] bool reading() const { return reading_; }

  // The form of what follows; one that is not `current` cannot be read.
  void version(uint32_t current);

  template <std::integral T>
  void value(T& value) {
    if (!reading_) return put(static_cast<uint64_t>(value), sizeof(T));
    const uint64_t raw = get(sizeof(T));
    if constexpr (std::same_as<T, bool>) check(raw <= 1, "a flag that is neither 0 nor 1");
    value = static_cast<T>(raw);
  }

  // How many elements of something follow; at most `most`. Returns the number that was read, or
  // `count` itself.
  [[nodiscard]] size_t count(size_t count, size_t most);

  // A sequence of bytes or characters, at most `most` of them.
  template <class Bytes>
  void bytes(Bytes& bytes, size_t most) {
    const size_t size = count(bytes.size(), most);
    if (reading_) bytes.resize(size);
    for (auto& byte : bytes) {
      auto raw = static_cast<uint8_t>(byte);
      value(raw);
      byte = static_cast<std::remove_reference_t<decltype(byte)>>(raw);
    }
  }

  // While reading: what was read last is impossible unless `good`; `what` names it.
  void check(bool good, std::string_view what);
  [[nodiscard]] bool failed() const { return !wrong_.empty(); }

  // Of a writer.
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }
  // Of a reader: kCorrupt, about `subject`, when something was wrong or bytes are left.
  [[nodiscard]] Result<void> finish(const std::string& subject) const;

 private:
  void put(uint64_t value, size_t size);
  uint64_t get(size_t size);

  std::vector<std::byte> out_;
  std::span<const std::byte> in_;
  bool reading_ = false;
  std::string wrong_;
};

}  // namespace husk::contract
