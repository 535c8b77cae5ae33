// Where debuggers connect: a port of this host's loopback, or a Unix socket of the user's.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"

namespace husk::gdb {

class Listener {
 public:
  // "PORT" of 127.0.0.1, where 0 is any that is free, or "unix:PATH". Everybody on this host may
  // connect to a port.
  [[nodiscard]] static Result<Listener> open(const std::string& where);
  ~Listener();  // takes the Unix socket away
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;

  [[nodiscard]] int fd() const { return socket_.get(); }
  // What GDB's `target remote` wants: "127.0.0.1:PORT", or the path.
  [[nodiscard]] const std::string& address() const { return address_; }
  // One that waits, or invalid: none does, or it is not the user's.
  [[nodiscard]] base::Fd accept() const;

 private:
  Listener() = default;

  base::Fd socket_;
  std::string address_;
  std::string path_;  // of a Unix socket
};

}  // namespace husk::gdb
