#include "virtio/console.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/try.h"

namespace husk::virtio {
namespace {

constexpr uint64_t kFeatureMultiport = 1u << 1;
constexpr uint32_t kControlReceive = 2, kControlTransmit = 3;  // queues
enum Event : uint16_t {
  kDeviceReady = 0,
  kPortAdd = 1,
  kPortRemove = 2,
  kPortReady = 3,
  kConsolePort = 4,
  kResize = 5,
  kPortOpen = 6,
  kPortName = 7,
};
constexpr size_t kControlLimit = 256;  // messages that wait for a guest that takes none
constexpr size_t kControlTextLimit = 1024;
constexpr size_t kOutputPiece = 4096;

// Port 0 has queues 0 and 1; the control queues are 2 and 3; port n has 2n + 2 and 2n + 3.
uint32_t receive_queue(size_t port) { return port == 0 ? 0 : static_cast<uint32_t>(2 * port + 2); }

}  // namespace

class Console::Port : public contract::ByteInput {
 public:
  // Rows first, as the Linux of our guests (6.1) reads it. The standard has the columns first
  // (5.3.6.2), and so have some later kernels: no order suits them all.
  struct Size {
    uint16_t rows, columns;
  };
  Port(Console& console, uint32_t index, PortSpec port_spec)
      : spec(std::move(port_spec)), index_(index), console_(console) {}

  size_t push(std::span<const std::byte> data) override {
    const std::lock_guard lock(console_.mutex());
    const size_t n = std::min(data.size(), kInputLimit - std::min(kInputLimit, pending.size()));
    pending.insert(pending.end(), data.begin(), data.begin() + static_cast<ptrdiff_t>(n));
    was_full = was_full || n < data.size();
    console_.from_host([&] { return console_.give_input(*this); });
    return n;
  }
  void tell_room() {
    if (std::exchange(was_full, false) && on_room) on_room();
  }
  // The driver is gone. What it has not read was for it; what none could read yet is for the next.
  void forget_driver() {
    if (guest_open) pending.clear();
    guest_open = guest_ready = false;
    if (pending.size() < kInputLimit) tell_room();
  }
  [[nodiscard]] uint32_t index() const { return index_; }
  void transfer_state(contract::StateArchive& state);

  PortSpec spec;
  std::deque<std::byte> pending;
  std::function<void()> on_room;
  bool was_full = false;
  bool guest_ready = false;
  bool guest_open = false;
  std::optional<Size> size;

 private:
  uint32_t index_;
  Console& console_;
};

Console::Console(std::vector<PortSpec> ports) {
  for (PortSpec& spec : ports)
    ports_.push_back(
        std::make_unique<Port>(*this, static_cast<uint32_t>(ports_.size()), std::move(spec)));
}

Console::~Console() = default;

contract::ByteInput& Console::input(size_t index) { return *ports_[index]; }
void Console::set_on_room(size_t index, std::function<void()> on_room) {
  ports_[index]->on_room = std::move(on_room);
}
uint64_t Console::features() const { return kFeatureMultiport; }

// struct virtio_console_config: columns, rows, max_nr_ports.
uint8_t Console::read_config(uint64_t offset) const {
  return offset >= 4 && offset < 8 ? static_cast<uint8_t>(ports_.size() >> 8 * (offset - 4)) : 0;
}

void Console::activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) {
  queues_ = &queues;
  notifier_ = &notifier;
  multiport_ = (features & kFeatureMultiport) != 0;
  // Without control messages nobody opens the one port that there then is (5.3.2).
  if (!multiport_ && !ports_.empty()) ports_[0]->guest_open = true;
}

void Console::reset() {
  queues_ = nullptr;
  notifier_ = nullptr;
  control_out_.clear();
  for (const auto& port : ports_) port->forget_driver();
}

void Console::signal(uint32_t queue) {
  if ((*queues_)[queue].needs_interrupt()) notifier_->used_buffer();
}

void Console::from_host(const std::function<Result<void>()>& step) {
  if (queues_ == nullptr || held_) return;
  if (step()) return;
  queues_ = nullptr;
  notifier_->needs_reset();
}

Result<void> Console::notified(uint32_t queue) {
  auto result = serve(queue);
  if (!result) queues_ = nullptr;  // the host's side does not look at them again either
  return result;
}

Result<void> Console::serve(uint32_t queue) {
  if (!multiport_ && queue >= kControlReceive) return {};
  if (queue == kControlReceive) return give_control();
  if (queue == kControlTransmit) return take_control();
  const size_t port = queue < 2 ? 0 : (queue - 2) / 2;
  return queue % 2 == 0 ? give_input(*ports_[port]) : take_output(*ports_[port]);
}

Result<void> Console::take_output(Port& port) {
  const uint32_t number = receive_queue(port.index()) + 1;
  Queue& queue = (*queues_)[number];
  do {
    while (auto chain = HUSK_TRY(queue.pop())) {
      if (port.spec.output != nullptr) {
        // Copied piece by piece: what the guest changes meanwhile is its own output.
        std::array<std::byte, kOutputPiece> piece;
        for (size_t at = 0; const size_t n = chain->read(at, piece); at += n)
          port.spec.output->write(std::span(piece).first(n));
      }
      HUSK_TRY(queue.push(*chain, 0));
    }
  } while (!queue.arm_notification());
  signal(number);
  return {};
}

Result<void> Console::give_input(Port& port) {
  const uint32_t number = receive_queue(port.index());
  Queue& queue = (*queues_)[number];
  if (!queue.ready() || !port.guest_open) return {};
  const size_t before = port.pending.size();
  while (!port.pending.empty()) {
    const auto chain = HUSK_TRY(queue.pop());
    if (!chain) {
      if (queue.arm_notification()) break;
      continue;
    }
    const size_t n = std::min<size_t>(port.pending.size(), chain->writable_bytes());
    const std::vector<std::byte> data(port.pending.begin(),
                                      port.pending.begin() + static_cast<ptrdiff_t>(n));
    chain->write(0, data);
    port.pending.erase(port.pending.begin(), port.pending.begin() + static_cast<ptrdiff_t>(n));
    HUSK_TRY(queue.push(*chain, static_cast<uint32_t>(n)));
  }
  signal(number);
  if (port.pending.size() < before) port.tell_room();
  return {};
}

Result<void> Console::take_control() {
  Queue& queue = (*queues_)[kControlTransmit];
  do {
    while (auto chain = HUSK_TRY(queue.pop())) {
      Control message{};
      if (chain->read(0, std::as_writable_bytes(std::span(&message, 1))) == sizeof(message))
        HUSK_TRY(handle_control(message));
      HUSK_TRY(queue.push(*chain, 0));
    }
  } while (!queue.arm_notification());
  signal(kControlTransmit);
  return give_control();
}

Result<void> Console::handle_control(const Control& message) {
  if (message.event == kDeviceReady && message.value == 1) {
    for (const auto& port : ports_) announce(port->index(), kPortAdd);
    return {};
  }
  if (message.port >= ports_.size()) return {};
  Port& port = *ports_[message.port];
  if (message.event == kPortReady && message.value == 1) {
    port.guest_ready = true;
    if (port.spec.is_console) announce(port.index(), kConsolePort);
    announce(port.index(), kPortName, port.spec.name);
    announce(port.index(), kPortOpen);
    announce_size(port);
  } else if (message.event == kPortOpen) {
    port.guest_open = message.value == 1;
    return give_input(port);
  }
  return {};
}

void Console::announce(uint32_t port, uint16_t event, std::string text) {
  if (control_out_.size() < kControlLimit)
    control_out_.push_back({{port, event, 1}, std::move(text)});
}

// Of sizes that the guest has not heard yet only the last one counts.
void Console::announce_size(const Port& port) {
  if (!port.size || !port.guest_ready || !port.spec.is_console) return;
  std::erase_if(control_out_, [&](const Message& message) {
    return message.control.event == kResize && message.control.port == port.index();
  });
  std::string text(sizeof(*port.size), '\0');
  std::memcpy(text.data(), &*port.size, text.size());
  announce(port.index(), kResize, std::move(text));
}

Result<void> Console::give_control() {
  Queue& queue = (*queues_)[kControlReceive];
  if (!queue.ready()) return {};
  while (!control_out_.empty()) {
    const auto chain = HUSK_TRY(queue.pop());
    if (!chain) {
      if (queue.arm_notification()) break;
      continue;
    }
    const auto [control, text] = std::move(control_out_.front());
    control_out_.pop_front();
    size_t n = chain->write(0, std::as_bytes(std::span(&control, 1)));
    if (n == sizeof(control)) n += chain->write(n, std::as_bytes(std::span(text)));
    HUSK_TRY(queue.push(*chain, static_cast<uint32_t>(n)));
  }
  signal(kControlReceive);
  return {};
}

void Console::resize(size_t index, uint16_t rows, uint16_t columns) {
  const std::lock_guard lock(mutex());
  Port& port = *ports_[index];
  port.size = {rows, columns};
  announce_size(port);
  from_host([&] { return give_control(); });
}

// What the host pushed meanwhile waits in its ports.
void Console::go_on() {
  held_ = false;
  for (const auto& port : ports_) from_host([&] { return give_input(*port); });
  from_host([&] { return give_control(); });
}

// What the new host has pushed by now comes behind what the old one had.
void Console::Port::transfer_state(contract::StateArchive& state) {
  state.value(guest_ready);
  state.value(guest_open);
  std::deque<std::byte> pushed;
  if (state.reading()) pushed.swap(pending);
  state.bytes(pending, kInputLimit);
  pending.insert(pending.end(), pushed.begin(), pushed.end());
}

// A terminal's size is the host's to tell anew.
void Console::transfer_state(contract::StateArchive& state) {
  state.version(1);
  state.value(multiport_);
  for (const auto& port : ports_) port->transfer_state(state);
  control_out_.resize(state.count(control_out_.size(), kControlLimit));
  for (auto& [control, text] : control_out_) {
    state.value(control.port);
    state.check(control.port < ports_.size(), "a port that is not there");
    state.value(control.event);
    state.value(control.value);
    state.bytes(text, kControlTextLimit);
  }
}

}  // namespace husk::virtio
