// Decodes a literal byte string for tests.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "backend/soft/decode/insn.h"

namespace husk::soft::decode::testing {

struct Decoded : Insn {
  Status status = Status::kOk;
};

inline Decoded decode_in(CodeSize size, std::initializer_list<int> bytes) {
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  Decoded decoded;
  decoded.status = decode(std::span(copy), size, decoded);
  return decoded;
}

inline Decoded decode64(std::initializer_list<int> b) { return decode_in(CodeSize::k64, b); }
inline Decoded decode32(std::initializer_list<int> b) { return decode_in(CodeSize::k32, b); }
inline Decoded decode16(std::initializer_list<int> b) { return decode_in(CodeSize::k16, b); }

}  // namespace husk::soft::decode::testing
