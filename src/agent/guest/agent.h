// The agent's side of the conversation: runs one command for the host, passes its input, output and
// signals on, and says how it ended.
#pragma once

#include <string>

#include "agent/guest/process.h"
#include "agent/protocol/message.h"

namespace husk::agent {

class Agent {
 public:
  // Makes the container's root as the request wants it; returns what went wrong, or nothing.
  using EnterRoot = std::string (*)(const RunRequest& request);

  // Makes a guest that goes on from a snapshot one of the present.
  using TakeOverMoment = void (*)(const Moment& moment);

  // `port` does not block and is closed across exec.
  Agent(int port, EnterRoot enter_root, TakeOverMoment take_over_moment)
      : port_(port), enter_root_(enter_root), take_over_moment_(take_over_moment) {}

  // Until the host knows how the command ended, or is gone. Blocks SIGCHLD, ignores
  // SIGPIPE, and collects every child of the process.
  void run();

 private:
  void send(const std::string& bytes) { outgoing_ += bytes; }
  void turn();
  void reap();
  void report();
  void fail(const std::string& reason);
  void read_port();
  void handle(const Frame& frame);
  void run_command(const Frame& frame);
  void resize(const Frame& frame);
  void write_input();
  void close_input();
  void read_output(int& fd, Type type);
  void write_port();

  int port_;
  EnterRoot enter_root_;
  TakeOverMoment take_over_moment_;
  int children_ = -1;
  Command command_;
  FrameParser parser_;
  std::string input_, outgoing_, reason_;
  int code_ = 0;
  bool close_input_ = false, ended_ = false, reported_ = false, done_ = false;
};

}  // namespace husk::agent
