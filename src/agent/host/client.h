// The host's side of the conversation with a guest agent.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "husk/error.h"

#include "agent/protocol/message.h"
#include "contract/byte_channel.h"
#include "contract/state_archive.h"

namespace husk::agent {

// What a run came to.
struct RunResult {
  bool finished = false;  // the agent said how it ended
  bool failed = false;    // ... that it could not even begin: `reason`
  int code = 0;
  std::string reason;
};

// Give it to the control port as its output, and attach() the port's input. The callbacks run on a
// thread of the client's own, one at a time, so they may block.
class Client : public contract::ByteSink {
 public:
  using Output = std::function<void(std::string_view)>;
  Client(Output on_stdout, Output on_stderr);
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void attach(contract::ByteInput& port);
  // For an agent that said hello before the snapshot which its machine goes on from.
  void assume_hello();
  // The conversation as it stands while `work` captures the machine, which is paused: for a client
  // that goes on with the copy. kState without a command that runs; kTimeout when whoever takes the
  // output does not within `timeout_ns`.
  [[nodiscard]] Result<std::vector<std::byte>> position(uint64_t timeout_ns,
                                                        const std::function<Result<void>()>& work);
  // In place of a hello and run(): goes on from there, and first tells the guest of the present.
  [[nodiscard]] Result<void> go_on(std::span<const std::byte> position, const Moment& moment);
  // Returns when the agent has said hello; false: not within `timeout_ns`.
  [[nodiscard]] bool wait_for_hello(uint64_t timeout_ns);
  // Sent as soon as the agent has said hello.
  void run(const RunRequest& request);
  void send_signal(int number);
  void send_window_size(uint32_t rows, uint32_t columns);
  // Takes as much input as the guest has credit for; 0: none now.
  size_t send_input(std::span<const std::byte> data);
  void close_input();

  // Returns once everything that the guest has said was delivered. For when it says no more.
  void drain();
  // What came of it so far. Once it has finished, all output was delivered.
  [[nodiscard]] RunResult result();
  void set_on_finished(std::function<void()> hook) { on_finished_ = std::move(hook); }
  [[nodiscard]] std::string guest_release();
  // The command runs.
  [[nodiscard]] bool started() const { return started_.load(std::memory_order_acquire); }

  void write(std::span<const std::byte> data) override;  // from the device

 private:
  void deliver();
  void transfer(contract::StateArchive& state, std::string& half);
  void handle(const Frame& frame);
  void send(std::string bytes);
  void send_all();

  Output on_stdout_, on_stderr_;
  std::function<void()> on_finished_;
  contract::ByteInput* port_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string incoming_, outgoing_, waiting_run_, release_;
  FrameParser parser_;
  RunResult result_;
  size_t credit_ = kStdinWindow;
  std::atomic<bool> started_{false};
  bool hello_ = false, stopping_ = false, delivering_ = false, sending_ = false, held_ = false;
  std::thread deliverer_, sender_;
};

}  // namespace husk::agent
