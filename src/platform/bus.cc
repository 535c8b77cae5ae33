#include "platform/bus.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/checked.h"

namespace husk::platform {
namespace {

uint64_t ones(uint32_t size) { return size >= 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1; }

}  // namespace

Result<void> Bus::attach(uint64_t base, uint64_t size, contract::IoHandler& handler) {
  const auto end = base::checked_add(base, size);
  if (size == 0 || !end)
    return fail(ErrorKind::kInvalidArgument, std::string(handler.name()), "bad bus window");
  const auto at = std::find_if(windows_.begin(), windows_.end(),
                               [&](const Window& w) { return w.base + w.size > base; });
  if (at != windows_.end() && at->base < *end)
    return fail(ErrorKind::kInvalidArgument, std::string(handler.name()),
                fmt::format("bus window {:#x} is {}'s already", base, at->handler->name()));
  windows_.insert(at, {base, size, &handler});
  return {};
}

const Bus::Window* Bus::find(uint64_t address, uint32_t size) const {
  const auto after =
      std::upper_bound(windows_.begin(), windows_.end(), address,
                       [](uint64_t value, const Window& window) { return value < window.base; });
  if (after == windows_.begin()) return nullptr;
  const Window& window = *(after - 1);
  return base::in_bounds(address - window.base, size, window.size) ? &window : nullptr;
}

uint64_t Bus::read(uint64_t address, uint32_t size) const {
  const Window* window = find(address, size);
  return window == nullptr ? ones(size)
                           : window->handler->read(address - window->base, size) & ones(size);
}

void Bus::write(uint64_t address, uint32_t size, uint64_t value) const {
  if (const Window* window = find(address, size))
    window->handler->write(address - window->base, size, value & ones(size));
}

}  // namespace husk::platform
