// One client of the control socket: a line in, a line out, and nothing waits for it.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace husk::control {

inline constexpr size_t kMaxRequest = size_t{64} << 10;  // bytes, the newline included
// How long a client may take to say what it wants, and to take the answer.
inline constexpr uint64_t kPatienceNs = 10'000'000'000;

// The server's thread.
class Connection {
 public:
  enum class State : uint8_t {
    kAsking,   // the request is not complete
    kAwaited,  // somebody works on the answer
    kTaking,   // the answer is on its way
    kOver,
  };

  // `socket` does not block.
  Connection(base::Fd socket, uint64_t now_ns)
      : socket_(std::move(socket)), deadline_(now_ns + kPatienceNs) {}

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] short events() const;  // for poll(2)
  // When it is given up, by the monotonic clock; ~0: never.
  [[nodiscard]] uint64_t deadline() const { return state_ == State::kAwaited ? ~0ULL : deadline_; }

  // What poll(2) said. True: request() is complete, and the connection awaits its answer.
  [[nodiscard]] bool handle(short happened);
  [[nodiscard]] const std::string& request() const { return bytes_; }
  void answer(std::string line, uint64_t now_ns);
  void give_up() { state_ = State::kOver; }

 private:
  [[nodiscard]] bool read();
  void write();

  base::Fd socket_;
  uint64_t deadline_;
  State state_ = State::kAsking;
  std::string bytes_;  // of the request, then of what is left of the answer
};

}  // namespace husk::control
