// Fields of payloads: little-endian numbers, texts and lists with their length before them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace husk::agent {

inline void put_u32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> 8 * i));
}

inline void put_u64(std::string& out, uint64_t value) {
  put_u32(out, static_cast<uint32_t>(value));
  put_u32(out, static_cast<uint32_t>(value >> 32));
}

inline void put_text(std::string& out, std::string_view text) {
  put_u32(out, static_cast<uint32_t>(text.size()));
  out += text;
}

inline void put_list(std::string& out, const std::vector<std::string>& items) {
  put_u32(out, static_cast<uint32_t>(items.size()));
  for (const std::string& item : items) put_text(out, item);
}

// Of at least 4 and 8 bytes.
[[nodiscard]] inline uint32_t get_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<uint8_t>(bytes[i])} << 8 * i;
  return value;
}

[[nodiscard]] inline uint64_t get_u64(std::string_view bytes) {
  return get_u32(bytes) | uint64_t{get_u32(bytes.substr(4))} << 32;
}

// Takes fields off the front of a payload; once one is missing, all are.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  uint32_t number() {
    const std::string_view bytes = take(4);
    return good_ ? get_u32(bytes) : 0;
  }
  uint64_t long_number() {
    const std::string_view bytes = take(8);
    return good_ ? get_u64(bytes) : 0;
  }
  std::string text() { return std::string(take(number())); }
  std::vector<std::string> list() {
    std::vector<std::string> items;
    for (uint32_t left = number(); good_ && left != 0; --left) items.push_back(text());
    return items;
  }
  // All fields were there, and nothing is behind them.
  [[nodiscard]] bool complete() const { return good_ && rest_.empty(); }

 private:
  std::string_view take(size_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return {};
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace husk::agent
