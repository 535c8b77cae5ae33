// The host's side of a session: one command of a guest's, over connections to its agent.
//
// The callbacks run on a thread of the client's own, one at a time, so they may block: the guest's
// command waits then. What they have returned from is acknowledged, and never delivered again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "husk/error.h"

#include "agent/host/position.h"
#include "agent/protocol/link.h"
#include "agent/protocol/message.h"
#include "base/fd.h"

namespace husk::agent {

// What a run came to.
struct RunResult {
  bool finished = false;  // the agent said how it ended
  bool failed = false;    // ... that it could not even begin: `reason`
  int code = 0;
  std::string reason;  // not finished, and there is one: why the agent cannot be heard any more
};

struct ClientEvents {
  std::function<void(std::string_view)> out, err;
  std::function<void()> started = [] {};  // the command runs
  // Once, when there is a result or a reason why there will be none; all output was delivered.
  std::function<void()> finished = [] {};
};

class Client {
 public:
  // Makes a connection to the agent. On the client's thread; returns early, with any error, when
  // `giving_up` becomes readable.
  using Connect = std::function<Result<base::Fd>(const base::Fd& giving_up)>;

  // A session of kMain goes on over further connections when one is lost; with a position, it is
  // the one that the position is of. Nothing is connected before begin().
  Client(SessionKind kind, Connect connect, ClientEvents events, Position position = {});
  // Hangs up. Waits for a callback that runs.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Any thread, for all of them. Only drain(), wait(), position() and leave()
  // wait.
  void begin();
  void run(const RunRequest& request);  // once
  void tell(const Moment& present);     // to a guest that goes on from a snapshot
  void send_signal(int number);
  void send_window_size(uint32_t rows, uint32_t columns);
  // Takes as much input as the guest has credit for; 0: none now.
  size_t send_input(std::span<const std::byte> data);
  void close_input();

  // The guest says no more: returns once all that has come was delivered.
  void drain();
  // Returns when there is a result, or a reason why there will be none.
  [[nodiscard]] RunResult wait();
  // What came of it so far.
  [[nodiscard]] RunResult result();
  // The command runs.
  [[nodiscard]] bool started() const { return started_.load(std::memory_order_acquire); }
  // For a snapshot that is taken while the machine is paused. Waits until all that the guest has
  // said is delivered, so that a copy which goes on from there repeats nothing; but not for long,
  // where nobody takes it.
  [[nodiscard]] Position position();
  // Hangs up for good: nothing is delivered that the position does not tell of.
  Position leave();

 private:
  enum class Talk { kGoesOn, kOver, kLost, kBroken };

  void serve();
  [[nodiscard]] bool may_connect();
  [[nodiscard]] Talk converse(const base::Fd& connection);
  [[nodiscard]] Talk exchange(const base::Fd& connection);
  // Whether more can come.
  [[nodiscard]] bool receive(const base::Fd& connection);
  [[nodiscard]] Talk deliver();
  [[nodiscard]] std::optional<Frame> next_frame();
  [[nodiscard]] Talk handle(const Frame& frame);
  [[nodiscard]] Talk handle_numbered(const Frame& frame);
  void finish(RunResult result);
  void give_up(const std::string& reason);
  void send(Type type, std::string_view payload);
  void set_busy();
  // With the lock held.
  [[nodiscard]] bool quiet() const;
  void flush();
  [[nodiscard]] size_t room() const;

  const SessionKind kind_;
  const Connect connect_;
  const ClientEvents events_;
  base::Fd wake_;       // an eventfd: the thread is to look at what has changed
  base::Fd giving_up_;  // an eventfd: no connection is wanted any more

  std::mutex mutex_;
  std::condition_variable changed_;
  Link link_;
  int socket_ = -1;  // of the connection that there is
  uint64_t credit_;
  RunResult result_;
  bool known_ = false;  // the agent may have heard of the session
  bool begun_ = false, stopping_ = false, draining_ = false, over_ = false, delivering_ = false;
  bool idle_ = false;  // the thread waits for the connection or for us
  std::atomic<bool> started_;
  std::thread thread_;
};

}  // namespace husk::agent
