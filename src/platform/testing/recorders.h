// The far ends of a chip's wires, for tests: they remember what reached them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "contract/byte_channel.h"
#include "contract/interrupt.h"
#include "contract/irq_line.h"
#include "contract/machine_event.h"
#include "contract/state_archive.h"

namespace husk::platform::testing {

class LineRecorder {
 public:
  [[nodiscard]] contract::IrqLine line(uint32_t gsi = 0) {
    return {[](void* self, uint32_t, bool level) { static_cast<LineRecorder*>(self)->set(level); },
            this, gsi};
  }
  [[nodiscard]] bool level() const { return level_; }
  // Rising edges since the last call.
  [[nodiscard]] int take_edges() { return std::exchange(edges_, 0); }

 private:
  void set(bool level) {
    if (level && !level_) ++edges_;
    level_ = level;
  }

  bool level_ = false;
  int edges_ = 0;
};

class SinkRecorder : public contract::InterruptSink {
 public:
  void deliver(const contract::InterruptMessage& message) override { messages.push_back(message); }
  void set_extint(bool asserted) override { extint = asserted; }
  [[nodiscard]] std::vector<contract::InterruptMessage> take() {
    return std::exchange(messages, {});
  }

  std::vector<contract::InterruptMessage> messages;
  bool extint = false;
};

class EventRecorder : public contract::MachineEventSink {
 public:
  void raise(contract::MachineEvent event, uint32_t code) override { last = {event, code}; }
  // The last event, once.
  [[nodiscard]] std::optional<contract::MachineEvent> take() {
    const auto taken = std::exchange(last, std::nullopt);
    return taken ? std::optional(taken->first) : std::nullopt;
  }

  std::optional<std::pair<contract::MachineEvent, uint32_t>> last;
};

class ByteRecorder : public contract::ByteSink {
 public:
  void write(std::span<const std::byte> data) override {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  }

  std::string text;
};

// By way of a snapshot.
template <class Chip>
Result<void> copy_state(Chip& from, Chip& to) {
  contract::StateArchive saved;
  from.transfer_state(saved);
  const auto bytes = saved.take();
  contract::StateArchive archive(bytes);
  to.transfer_state(archive);
  return archive.finish("chip");
}

}  // namespace husk::platform::testing
