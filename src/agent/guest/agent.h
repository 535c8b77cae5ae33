// The agent's side: listens for the host, gives each connection its session, and ends all others
// with the first one. One thread, one poll.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/guest/descriptor.h"
#include "agent/guest/session.h"
#include "agent/protocol/message.h"

namespace husk::agent {

class Agent {
 public:
  static constexpr size_t kMostExecs = 64;  // at once, beside the main command
  // Connections that have not said what they are for; one more takes the place of the oldest.
  static constexpr size_t kMostCallers = 128;

  // Makes the container's root as the request wants it; returns what went wrong, or nothing.
  using EnterRoot = std::string (*)(const RunRequest& request);

  // `listener` does not block and is closed across exec.
  Agent(Descriptor listener, EnterRoot enter_root, Session::TakeOver take_over)
      : listener_(std::move(listener)), enter_root_(enter_root), take_over_(take_over) {}

  // Until the host knows how the main command ended. Blocks SIGCHLD, ignores SIGPIPE, and collects
  // every child of the process.
  void run();

 private:
  struct Caller {
    Descriptor connection;
    FrameParser parser;
  };

  void turn();
  [[nodiscard]] int patience(int64_t now) const;
  void reap(int64_t now);
  void end_others();
  void tell_ends(int64_t now);
  void answer();
  void hear_callers();
  // True: it is a caller no more.
  [[nodiscard]] bool hear(Caller& caller);
  // What is wrong with it, or nothing.
  [[nodiscard]] std::string admit(Caller& caller, const Frame& greeting);
  [[nodiscard]] std::string prepare_main(RunRequest& request);
  [[nodiscard]] std::string prepare_exec(RunRequest& request) const;

  Descriptor listener_, children_;
  EnterRoot enter_root_;
  Session::TakeOver take_over_;
  std::list<Caller> callers_;
  std::unique_ptr<Session> main_;
  std::list<Session> execs_;
  RunRequest container_;  // the main command's, once it was begun; what others inherit
  bool done_ = false;
};

}  // namespace husk::agent
