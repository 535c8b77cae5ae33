// The decoder's driver: prefixes, opcode, ModRM, displacement, immediates, in the order of the
// encoding (Intel SDM vol. 2, 2.1). What an opcode carries is in opcode_table.h.
#include <algorithm>
#include <cstring>

#include "backend/soft/decode/insn.h"
#include "backend/soft/decode/opcode_table.h"

namespace husk::soft::decode {
namespace {

constexpr size_t kMaxLength = 15;
constexpr uint8_t kSs = 2, kDs = 3, kFs = 4;

class Decoder {
 public:
  Decoder(std::span<const uint8_t> bytes, CodeSize size, Insn& insn)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxLength))),
        full_(bytes.size() >= kMaxLength),
        size_(size),
        i_(insn) {}

  Status run() {
    i_ = {};
    if (!prefixes()) return out_of_bytes();
    uint8_t opcode = 0;
    if (!opcode_bytes(opcode)) return out_of_bytes();
    uint16_t form = form_of(i_.map, opcode);
    if ((form & kModrm) != 0) {
      if (at_ >= bytes_.size()) return out_of_bytes();
      if (vex_escape(opcode, bytes_[at_])) {
        if (opcode == 0x62) return Status::kInvalid;
        wrongly_prefixed_ = prefixed();
        if (!vex(opcode)) return out_of_bytes();
        if (!map_exists()) return Status::kInvalid;
        form = vex_form_of(i_.map, opcode);
      }
    }
    i_.opcode = opcode;
    sizes(form);
    if ((form & kModrm) != 0) {
      if (!modrm(form)) return out_of_bytes();
    } else {
      i_.rm = static_cast<uint8_t>((opcode & 7) | rex_b());
    }
    if (!immediates(form)) return out_of_bytes();
    i_.length = static_cast<uint8_t>(at_);
    // Only now, as processors do: where the rest of the bytes cannot be fetched, that fault comes
    // first.
    return exists(form) ? Status::kOk : Status::kInvalid;
  }

 private:
  Status out_of_bytes() const { return full_ ? Status::kTooLong : Status::kTruncated; }

  [[nodiscard]] bool exists(uint16_t form) const {
    return (form & kInvalid) == 0 && !wrongly_prefixed_ && !(is64() && (form & kInvalid64) != 0);
  }
  [[nodiscard]] bool is64() const { return size_ == CodeSize::k64; }
  [[nodiscard]] uint8_t rex_r() const { return (rex_ & 4) != 0 ? 8 : 0; }
  [[nodiscard]] uint8_t rex_x() const { return (rex_ & 2) != 0 ? 8 : 0; }
  [[nodiscard]] uint8_t rex_b() const { return (rex_ & 1) != 0 ? 8 : 0; }

  bool next(uint8_t& byte) {
    if (at_ >= bytes_.size()) return false;
    byte = bytes_[at_++];
    return true;
  }

  // A little-endian number of `size` bytes, sign-extended.
  bool number(uint32_t size, int64_t& value) {
    if (bytes_.size() - at_ < size) return false;
    uint64_t raw = 0;
    for (uint32_t k = 0; k < size; ++k) raw |= uint64_t{bytes_[at_ + k]} << 8 * k;
    at_ += size;
    const uint32_t unused = 64 - 8 * size;
    value = size == 0 ? 0 : static_cast<int64_t>(raw << unused) >> unused;
    return true;
  }

  bool prefixes() {
    for (;;) {
      if (at_ >= bytes_.size()) return false;
      const uint8_t byte = bytes_[at_];
      if (is64() && (byte & 0xf0) == 0x40) {
        rex_ = byte;
        ++at_;
        continue;
      }
      if (!legacy_prefix(byte)) return true;
      rex_ = 0;  // REX counts only directly before the opcode
      ++at_;
    }
  }

  bool legacy_prefix(uint8_t byte) {
    switch (byte) {
      case 0xf0:
        i_.lock = true;
        return true;
      case 0xf2:
        i_.rep = Rep::kRepne;
        return true;
      case 0xf3:
        i_.rep = Rep::kRepe;
        return true;
      case 0x66:
        i_.operand_prefix = true;
        return true;
      case 0x67:
        address_prefix_ = true;
        return true;
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        if (!is64()) i_.segment_override = (byte >> 3) & 3;
        return true;
      case 0x64:
      case 0x65:
        i_.segment_override = static_cast<uint8_t>(kFs + (byte & 1));
        return true;
      default:
        return false;
    }
  }

  bool opcode_bytes(uint8_t& opcode) {
    if (!next(opcode)) return false;
    if (opcode != 0x0f) return true;
    if (!next(opcode)) return false;
    i_.map = OpMap::k0F;
    if (opcode == 0x38 || opcode == 0x3a) {
      i_.map = opcode == 0x38 ? OpMap::k0F38 : OpMap::k0F3A;
      return next(opcode);
    }
    return true;
  }

  // What may not stand before VEX (Intel SDM vol. 2, 2.3.2).
  [[nodiscard]] bool prefixed() const {
    return rex_ != 0 || i_.lock || i_.operand_prefix || i_.rep != Rep::kNone;
  }
  [[nodiscard]] bool map_exists() const { return i_.map >= OpMap::k0F && i_.map <= OpMap::k0F3A; }

  // The rest of a VEX prefix, whose first byte `opcode` was, and the opcode (Intel SDM vol. 2,
  // 2.3.5). Outside 64-bit mode what would name registers 8 to 15 is ignored.
  bool vex(uint8_t& opcode) {
    const bool longer = opcode == 0xc4;
    uint8_t first = 0;
    if (!next(first)) return false;
    uint8_t last = first;
    if (longer && !next(last)) return false;
    const int inverted = ~first;
    rex_ = static_cast<uint8_t>(longer ? inverted >> 5 & 7 : inverted >> 5 & 4);
    if (!is64()) rex_ = 0;
    if (longer) rex_ |= static_cast<uint8_t>(last >> 4 & 8);
    i_.map = longer ? static_cast<OpMap>(first & 31) : OpMap::k0F;
    i_.vex = true;
    i_.vex_256 = (last & 4) != 0;
    i_.vvvv = static_cast<uint8_t>(~last >> 3 & (is64() ? 15 : 7));
    constexpr Rep kReps[] = {Rep::kNone, Rep::kNone, Rep::kRepe, Rep::kRepne};
    i_.rep = kReps[last & 3];
    i_.operand_prefix = (last & 3) == 1;
    return next(opcode);
  }

  // Near branches ignore 66 in 64-bit mode, as on Intel's processors; on AMD's they would take a
  // 16-bit target.
  void sizes(uint16_t form) {
    i_.rex = rex_ != 0 && !i_.vex;
    i_.rex_w = (rex_ & 8) != 0;
    if (is64()) {
      i_.address_size = address_prefix_ ? 4 : 8;
      i_.operand_size = i_.rex_w ? 8 : i_.operand_prefix && !i_.vex ? 2 : 4;
      if ((form & kDefault64) != 0 && i_.operand_size == 4) i_.operand_size = 8;
      if ((form & kForce64) != 0) i_.operand_size = 8;
      if ((form & kMax32) != 0 && i_.operand_size == 8) i_.operand_size = 4;
    } else {
      const bool wide = size_ == CodeSize::k32;
      i_.operand_size = wide != i_.operand_prefix ? 4 : 2;
      i_.address_size = wide != address_prefix_ ? 4 : 2;
      if ((form & kRegisterOnly) != 0 || i_.vex)
        i_.operand_size = 4;  // control registers are whole
    }
  }

  // LES, LDS and BOUND with a register operand, and in 64-bit mode at all, are VEX and EVEX. No
  // AVX-512 is offered.
  [[nodiscard]] bool vex_escape(uint8_t opcode, uint8_t modrm) const {
    return i_.map == OpMap::kPrimary && (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62) &&
           (is64() || modrm >= 0xc0);
  }

  // Group 5 is several kinds of opcode in one: near CALL and JMP, and PUSH, but not the far forms.
  void group_5_size(uint8_t group) {
    if (!is64()) return;
    if (group == 2 || group == 4) i_.operand_size = 8;
    if (group == 6 && i_.operand_size == 4) i_.operand_size = 8;
  }

  bool modrm(uint16_t form) {
    uint8_t byte = 0;
    if (!next(byte)) return false;
    i_.has_modrm = true;
    i_.mod = byte >> 6;
    i_.reg = static_cast<uint8_t>((byte >> 3 & 7) | rex_r());
    if ((form & kRegisterOnly) != 0) i_.mod = 3;
    if ((form & kGroup5) != 0) group_5_size(i_.group());
    if (i_.mod == 3) {
      i_.rm = static_cast<uint8_t>((byte & 7) | rex_b());
      return true;
    }
    i_.memory = true;
    return i_.address_size == 2 ? memory_16(byte & 7) : memory_32(byte & 7);
  }

  bool memory_16(uint8_t rm) {
    constexpr uint8_t kBx = 3, kBp = 5, kSi = 6, kDi = 7, kNone = kNoRegister;
    constexpr uint8_t kBases[8] = {kBx, kBx, kBp, kBp, kSi, kDi, kBp, kBx};
    constexpr uint8_t kIndices[8] = {kSi, kDi, kSi, kDi, kNone, kNone, kNone, kNone};
    i_.mem.base = kBases[rm];
    i_.mem.index = kIndices[rm];
    uint32_t displacement = i_.mod == 1 ? 1 : i_.mod == 2 ? 2 : 0;
    if (i_.mod == 0 && rm == 6) {
      i_.mem.base = kNone;
      displacement = 2;
    }
    default_segment(i_.mem.base == kBp ? kSs : kDs);
    return number(displacement, i_.mem.displacement);
  }

  bool memory_32(uint8_t rm) {
    uint32_t displacement = i_.mod == 1 ? 1 : i_.mod == 2 ? 4 : 0;
    uint8_t base = rm;
    if (rm == 4) {
      uint8_t sib = 0;
      if (!next(sib)) return false;
      const auto index = static_cast<uint8_t>((sib >> 3 & 7) | rex_x());
      const bool gather = i_.vex && is_gather(i_.map, i_.opcode);
      i_.mem.scale_log2 = sib >> 6;
      if (gather) {
        i_.vector_index = index;
      } else if (index != 4) {
        i_.mem.index = index;
      } else {
        i_.mem.scale_log2 = 0;
      }
      base = sib & 7;
      if (base == 5 && i_.mod == 0) return absolute_base();
    } else if (rm == 5 && i_.mod == 0) {
      if (is64()) i_.mem.base = kRipBase;
      default_segment(kDs);
      return number(4, i_.mem.displacement);
    }
    i_.mem.base = static_cast<uint8_t>(base | rex_b());
    default_segment(i_.mem.base == 4 || i_.mem.base == 5 ? kSs : kDs);
    return number(displacement, i_.mem.displacement);
  }

  bool absolute_base() {
    default_segment(kDs);
    return number(4, i_.mem.displacement);
  }

  void default_segment(uint8_t segment) {
    i_.mem.segment = i_.segment_override != kNoRegister ? i_.segment_override : segment;
  }

  [[nodiscard]] uint32_t z_size() const { return i_.operand_size == 2 ? 2 : 4; }
  [[nodiscard]] uint32_t group_3_immediate() const {
    if (i_.group() >= 2) return 0;  // only TEST has one
    return (i_.opcode & 1) == 0 ? 1 : z_size();
  }

  bool immediates(uint16_t form) {
    uint32_t size = 0;
    switch (form & kImmMask) {
      case kImm8:
        size = 1;
        break;
      case kImm16:
        size = 2;
        break;
      case kImmZ:
        size = z_size();
        break;
      case kImmV:
        size = i_.operand_size;
        break;
      case kImmGroup3:
        size = group_3_immediate();
        break;
      case kImmOffset:
        return memory_offset();
      case kImmFar:
        return far_pointer();
      case kImmEnter:
        return enter();
      default:
        break;
    }
    i_.imm_size = static_cast<uint8_t>(size);
    return number(size, i_.imm);
  }

  bool memory_offset() {
    i_.memory = true;
    default_segment(kDs);
    if (!number(i_.address_size, i_.mem.displacement)) return false;
    if (i_.address_size == 4) i_.mem.displacement &= 0xffffffff;
    if (i_.address_size == 2) i_.mem.displacement &= 0xffff;
    return true;
  }

  bool second_immediate(uint32_t size) {
    int64_t value = 0;
    if (!number(size, value)) return false;
    i_.imm2 = static_cast<uint16_t>(size == 1 ? value & 0xff : value);
    i_.imm2_size = static_cast<uint8_t>(size);
    return true;
  }
  bool far_pointer() {
    i_.imm_size = static_cast<uint8_t>(z_size());
    return number(i_.imm_size, i_.imm) && second_immediate(2);
  }
  bool enter() {
    i_.imm_size = 2;
    return number(2, i_.imm) && second_immediate(1);
  }

  std::span<const uint8_t> bytes_;
  bool full_;
  CodeSize size_;
  Insn& i_;
  size_t at_ = 0;
  uint8_t rex_ = 0;
  bool address_prefix_ = false;
  bool wrongly_prefixed_ = false;  // before VEX
};

}  // namespace

Status decode(std::span<const uint8_t> bytes, CodeSize size, Insn& insn) {
  return Decoder(bytes, size, insn).run();
}

}  // namespace husk::soft::decode
