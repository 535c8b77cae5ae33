// Spans: accesses of a block whose addresses differ by constants only, as a function's to its frame
// or to a structure's fields. One check of the TLB, before the first, is good for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "backend/soft/jit/operands.h"

namespace husk::soft::jit {

struct Span {
  int64_t low = 0, high = 0;            // bytes [low, high), counted as Place::offset is
  std::optional<int64_t> aligned_at{};  // an offset that must be a multiple of 16
  uint16_t uses = 0;
  bool write = false;  // there is one among them
  // A jump may leave the block before what comes now: that must not make it a span with a store.
  bool sealed = false;
};

// An access's place in a span; offsets are counted from where the span's first access begins.
struct Place {
  uint16_t span = kNone;
  bool first = false;
  int64_t offset = 0;
  static constexpr uint16_t kNone = 0xffff;
};

using Places = std::array<Place, 2>;  // as Accesses

// Is shown a block's instructions in their order.
class SpanFinder {
 public:
  // A span is at most so long: most do not cross a page then.
  static constexpr int64_t kLongest = 256;

  SpanFinder();
  Places add(const decode::Insn& insn, const Form& form, uint64_t next_rip);
  [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }

 private:
  // A register: a value that nothing is known of, by its number, plus a constant.
  struct Value {
    uint32_t number = 0;
    int64_t delta = 0;
  };
  // What addresses of a span have in common.
  struct Root {
    uint32_t base = 0, index = 0;
    uint8_t scale = 0, segment = 0;
    bool operator==(const Root&) const = default;
    [[nodiscard]] bool constant() const { return base == 0 && index == 0 && segment == 0; }
  };
  struct Open {
    Root root;
    int64_t start = 0;  // of the first access, counted from the root
    uint16_t span = 0;
  };

  Place place(const Access& access, uint64_t next_rip);
  static bool join(const Root& root, int64_t start, Span& span, const Access& access,
                   int64_t offset);
  void assign(const Assignments& assignments);
  void forget_all();

  std::array<Value, 16> registers_;
  uint32_t next_number_ = 1;
  std::vector<Open> open_;
  std::vector<Span> spans_;
};

}  // namespace husk::soft::jit
