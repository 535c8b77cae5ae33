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

  // What the agent does to its guest; see setup.h.
  struct Setup {
    std::string (*enter_root)();  // what went wrong, or nothing
    Session::TakeOver take_over;
    void (*write_names)(const std::string& hostname, const std::string& machine_id);
  };

  // `listener` does not block and is closed across exec.
  Agent(Descriptor listener, Setup setup) : listener_(std::move(listener)), setup_(setup) {}

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
  [[nodiscard]] bool was_last(pid_t pid, int status, int64_t now);
  void end_others(bool some);
  [[nodiscard]] std::string admit_main(Session*& session);
  [[nodiscard]] std::string admit_warm_up(Session*& session);
  [[nodiscard]] std::string admit_exec(Session*& session);
  void tell_ends(int64_t now);
  void answer();
  void hear_callers();
  // True: it is a caller no more.
  [[nodiscard]] bool hear(Caller& caller);
  // What is wrong with it, or nothing.
  [[nodiscard]] std::string admit(Caller& caller, const Frame& greeting);
  [[nodiscard]] std::string prepare_root(const RunRequest& request);
  [[nodiscard]] std::string prepare_main(RunRequest& request);
  [[nodiscard]] std::string prepare_exec(RunRequest& request) const;

  Descriptor listener_, children_;
  Setup setup_;
  std::list<Caller> callers_;
  std::unique_ptr<Session> main_;
  std::list<Session> execs_;
  const Session* warm_up_ = nullptr;  // one of them that readies the guest for the main command
  RunRequest container_;              // the main command's, once it was begun; what others inherit
  bool entered_ = false;              // its root
  bool done_ = false;
};

}  // namespace husk::agent
