// One line on a terminal that says what the user is waiting for, once it has taken a second.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace husk::cli {

// Any thread. Silent where standard error is no terminal.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress() { stop(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void now(std::string what);
  // Takes the line away; the terminal is the caller's from here on. At once when called again.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  bool shown_ = false, stopped_ = false;
  std::thread thread_;
};

}  // namespace husk::cli
