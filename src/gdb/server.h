// Debuggers of one machine, one after another, on a thread of the server's.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "husk/error.h"

#include "base/fd.h"
#include "gdb/listener.h"
#include "gdb/target.h"

namespace husk::gdb {

class Server {
 public:
  // Listens, see Listener::open(). The target is called on the server's thread.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const std::string& where,
                                                             std::unique_ptr<Target> target);
  // Tells a client of the machine's end, if that has come, and hangs up.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] const std::string& address() const { return listener_.address(); }
  // Something may have happened to the machine. Any thread.
  void wake();

 private:
  Server(Listener listener, std::unique_ptr<Target> target)
      : listener_(std::move(listener)), target_(std::move(target)) {}
  void run();
  void serve(const base::Fd& client);
  // Until there is something to read, or wake() was called. True: to read.
  [[nodiscard]] bool wait_for(int fd);
  // False: the client has taken none of it for too long.
  [[nodiscard]] bool send_all(const base::Fd& client, std::string_view bytes) const;

  Listener listener_;
  std::unique_ptr<Target> target_;
  base::Fd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace husk::gdb
