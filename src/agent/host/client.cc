#include "agent/host/client.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace husk::agent {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(2);  // until the port takes more
constexpr size_t kIncomingLimit = 8 << 20;
constexpr size_t kOutgoingLimit = 4 << 20;  // of a snapshot's

}  // namespace

Client::Client(Output on_stdout, Output on_stderr)
    : on_stdout_(std::move(on_stdout)),
      on_stderr_(std::move(on_stderr)),
      deliverer_([this] { deliver(); }),
      sender_([this] { send_all(); }) {}

Client::~Client() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  deliverer_.join();
  sender_.join();
}

// On the thread that serves the guest's output, a vCPU's or the doorbells', with the device's lock
// held: only hands over. When the consumer is far behind, that thread waits, and the guest with it,
// or once its queue is full.
void Client::write(std::span<const std::byte> data) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return incoming_.size() < kIncomingLimit || stopping_; });
  incoming_.append(reinterpret_cast<const char*>(data.data()), data.size());
  changed_.notify_all();
}

// Never calls the device, so that whoever waits in write() gets its room whatever the sender
// waits for.
void Client::deliver() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !incoming_.empty(); });
    if (stopping_) return;
    const std::string bytes = std::exchange(incoming_, {});
    delivering_ = true;
    changed_.notify_all();
    lock.unlock();
    parser_.feed(bytes);
    while (auto frame = parser_.next()) handle(*frame);
    lock.lock();
    delivering_ = false;
    changed_.notify_all();
  }
}

void Client::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || (incoming_.empty() && !delivering_); });
}

// Lets go of the lock while the device takes bytes: the device may be calling write().
void Client::send_all() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock,
                  [&] { return stopping_ || (!outgoing_.empty() && port_ != nullptr && !held_); });
    if (stopping_) return;
    const std::string bytes = std::exchange(outgoing_, {});
    sending_ = true;
    contract::ByteInput* port = port_;
    lock.unlock();
    const size_t taken = port->push(std::as_bytes(std::span(bytes)));
    lock.lock();
    outgoing_.insert(0, bytes.substr(taken));
    sending_ = false;
    changed_.notify_all();
    if (taken == 0) changed_.wait_for(lock, kRetry, [&] { return stopping_; });
  }
}

// On the deliverer's thread, which alone writes the result. What a guest says after the end of its
// command is nothing: the end stays what it was, and no output comes after it.
void Client::handle(const Frame& frame) {
  if (result_.finished) return;
  switch (frame.type) {
    case Type::kStdout:
      return on_stdout_(frame.payload);
    case Type::kStderr:
      return on_stderr_(frame.payload);
    default:
      break;
  }
  const auto numbered = decode_number(frame.payload);
  bool finished = false;
  {
    const std::lock_guard lock(mutex_);
    if (frame.type == Type::kHello && numbered && !hello_) {
      hello_ = true;
      release_ = numbered->text;
      outgoing_ += std::exchange(waiting_run_, {});
    } else if (frame.type == Type::kCredit && numbered) {
      credit_ = std::min(kStdinWindow, credit_ + numbered->number);
    } else if (frame.type == Type::kStarted) {
      started_ = true;
    } else if (frame.type == Type::kExited && numbered) {
      result_ = {true, false, static_cast<int>(numbered->number & 0xff),
                 std::string(numbered->text)};
      finished = true;
    } else if (frame.type == Type::kFailed) {
      result_ = {true, true, 0, frame.payload};
      finished = true;
    }
    changed_.notify_all();
  }
  if (finished && on_finished_) on_finished_();
}

void Client::send(std::string bytes) {
  {
    const std::lock_guard lock(mutex_);
    (hello_ ? outgoing_ : waiting_run_) += bytes;
  }
  changed_.notify_all();
}

void Client::attach(contract::ByteInput& port) {
  {
    const std::lock_guard lock(mutex_);
    port_ = &port;
  }
  changed_.notify_all();
}

void Client::assume_hello() {
  const std::lock_guard lock(mutex_);
  hello_ = true;
}

// What is on its way in either direction: half a frame of the guest's, and what it has not been
// sent yet. All else is in the machine or was delivered.
void Client::transfer(contract::StateArchive& state, std::string& half) {
  state.version(1);
  state.value(credit_);
  state.check(credit_ <= kStdinWindow, "more credit than there is");
  state.bytes(half, kMaxRunPayload + kHeaderSize);
  state.bytes(outgoing_, kOutgoingLimit);
}

Result<std::vector<std::byte>> Client::position(uint64_t timeout_ns,
                                                const std::function<Result<void>()>& work) {
  std::unique_lock lock(mutex_);
  held_ = true;
  const bool quiet = changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] {
    return incoming_.empty() && !delivering_ && !sending_;
  });
  Result<void> done;
  if (!quiet)
    done = fail(ErrorKind::kTimeout, "container", "nobody takes its output; it cannot be captured");
  else if (!started_ || result_.finished || outgoing_.size() > kOutgoingLimit)
    done = fail(ErrorKind::kState, "container", "its command does not run; it cannot be captured");
  else
    done = work();
  contract::StateArchive state;
  std::string half(parser_.rest());
  if (done) transfer(state, half);
  held_ = false;
  changed_.notify_all();
  if (!done) return std::unexpected(done.error());
  return state.take();
}

Result<void> Client::go_on(std::span<const std::byte> position, const Moment& moment) {
  {
    const std::lock_guard lock(mutex_);
    contract::StateArchive state(position);
    std::string half;
    transfer(state, half);
    if (auto read = state.finish("the agent's position"); !read) return read;
    incoming_ = std::move(half);
    outgoing_ += encode(Type::kResumed, encode_moment(moment));
    hello_ = true;
    started_ = true;
  }
  changed_.notify_all();
  return {};
}

bool Client::wait_for_hello(uint64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return hello_; });
}

void Client::run(const RunRequest& request) { send(encode(Type::kRun, encode_run(request))); }
void Client::send_signal(int number) {
  send(encode_number(Type::kSignal, static_cast<uint32_t>(number)));
}
void Client::close_input() { send(encode(Type::kStdinClose, {})); }

void Client::send_window_size(uint32_t rows, uint32_t columns) {
  const std::string second = encode_number(Type::kWindowSize, columns).substr(kHeaderSize);
  send(encode_number(Type::kWindowSize, rows, second));
}

size_t Client::send_input(std::span<const std::byte> data) {
  size_t n = 0;
  {
    const std::lock_guard lock(mutex_);
    n = std::min({data.size(), credit_, kMaxPayload});
    credit_ -= n;
  }
  if (n != 0) send(encode(Type::kStdin, {reinterpret_cast<const char*>(data.data()), n}));
  return n;
}

RunResult Client::result() {
  const std::lock_guard lock(mutex_);
  return result_;
}

std::string Client::guest_release() {
  const std::lock_guard lock(mutex_);
  return release_;
}

}  // namespace husk::agent
