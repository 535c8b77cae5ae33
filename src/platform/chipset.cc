#include "platform/chipset.h"

#include <cstring>
#include <type_traits>

namespace husk::platform {
namespace {

constexpr uint32_t kVersion = 1;

template <class Visit>
void visit_all(Pic8259& pic, IoApic& ioapic, Visit&& visit) {
  pic.visit_state(visit);
  ioapic.visit_state(visit);
}

}  // namespace

void Chipset::set_line(uint32_t gsi, bool level) {
  if (gsi < 16) pic_.set_line(gsi, level);
  ioapic_.set_pin(gsi == 0 ? 2 : gsi, level);
}

std::vector<std::byte> Chipset::capture() const {
  std::vector<std::byte> out;
  const auto put = [&](const auto& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof(value));
  };
  put(kVersion);
  auto& self =
      const_cast<Chipset&>(*this);  // the visitor serves both directions; here it only reads
  visit_all(self.pic_, self.ioapic_, put);
  return out;
}

Result<void> Chipset::restore(std::span<const std::byte> state) {
  if (state.size() != capture().size())
    return fail(ErrorKind::kCorrupt, "interrupt controller state", "has the wrong size");
  const auto get = [&](auto& value) {
    std::memcpy(&value, state.data(), sizeof(value));
    state = state.subspan(sizeof(value));
  };
  uint32_t version = 0;
  get(version);
  if (version != kVersion)
    return fail(ErrorKind::kCorrupt, "interrupt controller state", "has an unknown version");
  // Nothing is taken over before all of it is known to be good: the first pass only looks.
  bool good = true;
  size_t at = 0;
  visit_all(pic_, ioapic_, [&](const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>)
      good = good && std::to_integer<uint8_t>(state[at]) <= 1;
    at += sizeof(value);
  });
  if (!good)
    return fail(ErrorKind::kCorrupt, "interrupt controller state", "has an impossible value");
  visit_all(pic_, ioapic_, get);
  pic_.drive();
  return {};
}

}  // namespace husk::platform
