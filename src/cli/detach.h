// A process of its own for what goes on when the command line returns.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"

namespace husk::cli {

// In the new process: how it lets go of the one that was started.
class Launch {
 public:
  explicit Launch(base::Fd pipe) : pipe_(std::move(pipe)) {}
  // On the thread that `work` was called on, before succeeded(): this process no more goes when the
  // first one does.
  void outlive() const;
  // Any thread. The first process prints `text` and ends with 0; from here on what this one says
  // goes to the file `messages`. False: the first one is gone already, and nobody knows of this.
  [[nodiscard]] bool succeeded(const std::string& text, const std::string& messages);

 private:
  base::Fd pipe_;
};

// A process that was made and has not let go yet.
class Detached {
 public:
  // Runs `work` in a new session, without standard input; until outlive() it goes when this
  // process does, until succeeded() it shares standard error with it. Of the descriptors behind
  // standard error it has `keep`. In the new process the result is its exit code. While there is
  // one thread.
  [[nodiscard]] static std::variant<Detached, int> start(const std::function<int(Launch&)>& work,
                                                         std::vector<int> keep = {});

  // Waits until it lets go, and prints its line; returns this process's exit code.
  [[nodiscard]] int attend();

 private:
  Detached(pid_t child, base::Fd pipe) : child_(child), pipe_(std::move(pipe)) {}

  pid_t child_;
  base::Fd pipe_;
};

// Both in one, in both processes.
[[nodiscard]] int detached(const std::function<int(Launch&)>& work);

}  // namespace husk::cli
