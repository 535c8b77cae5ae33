// The control socket of a machine's process. A connection is one request and one answer, a line of
// JSON each:
//   {"verb": "signal", "number": 15}
//   {"ok": true, ...}                      what the verb's handler has returned
//   {"ok": false, "error": "SUBJECT: WHY"}
// Only the user whose process it is, and root, are heard. No client makes another one wait: a
// request has 64 KiB and 10 s, so has the taking of an answer, and there are at most kMostClients.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "husk/error.h"

#include "api/json.h"
#include "base/fd.h"
#include "control/connection.h"
#include "control/worker.h"

namespace husk::control {

using api::Json;

// The request, an object; returns the answer's members (an object), or why not.
using Handler = std::function<Result<Json>(const Json& request)>;

class Server {
 public:
  static constexpr size_t kMostClients = 128;
  static constexpr size_t kMostWaiting = 64;  // of them, for the machine's end

  // Listens at `path`, where nobody can connect who has not the right to; serves nobody yet.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(std::string path);
  // Answers what was asked and can be answered; does not wait for clients. Takes the socket away.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Verbs, before start(). `handler` runs on the server's thread: it must not wait for anything.
  void on(std::string verb, Handler handler);
  // The same for what takes its time: on one thread for all of those, one after another. What it
  // waits for must end when the machine does.
  void on_slow(std::string verb, Handler handler);
  // Answered by what end() is given, as soon as it is.
  void on_end(std::string verb);
  void start();

  // The machine has ended. Any thread, once.
  void end(Json answer);

 private:
  enum class Kind : uint8_t { kAtOnce, kSlow, kAtEnd };
  struct Verb {
    Kind kind;
    Handler handler;
  };

  Server() = default;
  void run();
  void wait_for_events();
  void accept_all();
  void take(uint64_t id, Connection& connection);
  void dispatch(uint64_t id, Connection& connection, const Verb& verb, Json request);
  void answer(Connection& connection, const Result<Json>& result);
  void await_end(uint64_t id, Connection& connection);
  void deliver_results();
  void drop_finished();
  [[nodiscard]] int milliseconds_to_wait() const;
  void wake() const;

  std::string path_;
  base::Fd listener_, wake_;
  std::map<std::string, Verb, std::less<>> verbs_;
  // The thread's own.
  std::map<uint64_t, Connection> connections_;
  std::deque<uint64_t> waiting_;
  std::optional<Json> ended_;
  uint64_t next_id_ = 0;

  std::mutex mutex_;  // for these three
  std::deque<std::pair<uint64_t, Result<Json>>> results_;
  std::optional<Json> end_;
  bool stopping_ = false;

  std::thread thread_;
  std::unique_ptr<Worker> worker_;  // null: no verb is slow
};

}  // namespace husk::control
