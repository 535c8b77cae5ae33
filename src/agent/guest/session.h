// One command of the guest's and the conversation about it: its input, output, signals and end.
// Lives on without a connection if its owner lets it.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "agent/guest/descriptor.h"
#include "agent/guest/process.h"
#include "agent/protocol/link.h"

namespace husk::agent {

class Session {
 public:
  // Readies the guest for the command and completes the request; what went wrong, or nothing.
  using Prepare = std::function<std::string(RunRequest&)>;

  // Makes a guest that goes on from a snapshot one of the present.
  using TakeOver = void (*)(const Moment& present);

  // Without `take_over` the session is none that may tell of the present.
  explicit Session(Prepare prepare, TakeOver take_over = nullptr)
      : prepare_(std::move(prepare)), take_over_(take_over) {}
  // A command that runs gets SIGHUP.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Goes on over this connection, of which `parser` holds what came behind the greeting; the other
  // end has all frames before `wanted`. False: it wants what is not kept, and nothing changes.
  [[nodiscard]] bool attach(Descriptor& connection, FrameParser& parser, uint64_t wanted);
  [[nodiscard]] bool attached() const { return connection_.valid(); }

  // What it waits for, appended.
  void watch(std::vector<pollfd>& descriptors);
  // The time by which it wants a turn whatever happens, in milliseconds of CLOCK_MONOTONIC; < 0:
  // none.
  [[nodiscard]] int64_t deadline() const;
  // Does what can be done without waiting; `descriptors` are those of all, looked at.
  void turn(std::span<const pollfd> descriptors, int64_t now);
  // A child of the agent's has ended. True: it was the command.
  [[nodiscard]] bool child_ended(pid_t pid, int status, int64_t now);
  // Kills the command and all of its process group.
  void kill();

  // There was a request for a command.
  [[nodiscard]] bool begun() const { return begun_; }
  // The command has ended, or there will be none.
  [[nodiscard]] bool ended() const { return ended_; }
  // ... and its output was read; the end may be told.
  [[nodiscard]] bool drained(int64_t now) const;
  void report();
  [[nodiscard]] bool reported() const { return reported_; }
  // The host knows all.
  [[nodiscard]] bool done() const { return reported_ && link_.kept() == 0; }
  // Nothing more is read of the command's output before the host has taken some.
  [[nodiscard]] bool stalled() const;

 private:
  void hear();
  void take(const Frame& frame);
  void run(const Frame& frame);
  void resize(const Frame& frame);
  void write_input();
  void close_input();
  void read_output(Descriptor& source, Type type, int64_t now);
  void say();
  void fail(const std::string& reason);

  Prepare prepare_;
  TakeOver take_over_;
  Descriptor connection_;
  Link link_;
  Command command_;
  std::string input_, reason_;
  int code_ = 0;
  int64_t last_output_ = 0;
  size_t watched_ = 0, watches_ = 0;  // of the descriptors: the first that it waits for, how many
  bool begun_ = false, close_input_ = false, ended_ = false, reported_ = false;
};

}  // namespace husk::agent
