#include "virtio/rng.h"

#include <sys/random.h>

#include <algorithm>

#include "base/try.h"

namespace husk::virtio {
namespace {

constexpr size_t kMostPerRequest = 4096;  // the driver asks again for more

}  // namespace

void Rng::activate(uint64_t, std::vector<Queue>& queues, Notifier& notifier) {
  queue_ = &queues[0];
  notifier_ = &notifier;
}

Result<void> Rng::notified(uint32_t) {
  do {
    while (auto chain = HUSK_TRY(queue_->pop())) {
      uint32_t filled = 0;
      if (!chain->writable.empty()) {
        const auto part = chain->writable.front().first(
            std::min(chain->writable.front().size(), kMostPerRequest));
        filled =
            static_cast<uint32_t>(std::max<ssize_t>(0, ::getrandom(part.data(), part.size(), 0)));
      }
      HUSK_TRY(queue_->push(*chain, filled));
    }
  } while (!queue_->arm_notification());
  if (queue_->needs_interrupt()) notifier_->used_buffer();
  return {};
}

}  // namespace husk::virtio
