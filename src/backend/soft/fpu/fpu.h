#pragma once
#include <array>
#include <cstdint>
#include "backend/soft/decode/insn.h"
#include "husk/error.h"
namespace husk::soft::fpu {
struct FpuState { alignas(16) std::array<uint8_t,512> image{}; };
class Unit { public: void leave(FpuState&) {} bool exhausted() const { return false; } void forget_code() {} };
inline void save_image(const FpuState& s, std::array<uint8_t,512>& o) { o = s.image; }
inline Result<void> load_image(FpuState& s, const std::array<uint8_t,512>& i) { s.image = i; return {}; }
}
