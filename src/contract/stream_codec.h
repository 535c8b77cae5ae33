// Integers in a saved state: little-endian, as wide as their type, to and from a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <ostream>
#include <type_traits>

namespace husk::contract {

template <class T>
void put(std::ostream& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out.put(static_cast<char>(static_cast<uint64_t>(value) >> 8 * i));
}

// A stream that ends early says so itself, and has failed, too, where a truth value is neither 0
// nor 1, for what is read has one form; the value is meaningless then.
template <class T>
void get(std::istream& in, T& value) {
  uint64_t raw = 0;
  for (size_t i = 0; i < sizeof(T); ++i) raw |= uint64_t{static_cast<uint8_t>(in.get())} << 8 * i;
  if (std::is_same_v<T, bool> && raw > 1) in.setstate(std::ios::failbit);
  value = static_cast<T>(raw);
}

template <class T>
[[nodiscard]] T get(std::istream& in) {
  T value{};
  get(in, value);
  return value;
}

}  // namespace husk::contract
