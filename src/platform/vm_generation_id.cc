#include "platform/vm_generation_id.h"

#include <array>

#include "base/random.h"
#include "base/try.h"

namespace husk::platform {

Result<void> VmGenerationId::set() {
  std::array<std::byte, kSize> id{};
  HUSK_TRY(base::fill_random(id));
  return memory_.write(place_, id);
}

Result<void> VmGenerationId::renew() {
  HUSK_TRY(set());
  changed_.pulse();
  return {};
}

}  // namespace husk::platform
