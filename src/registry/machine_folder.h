// A machine's folder: its record, and the files and sockets beside it.
#pragma once

#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "registry/record.h"

namespace husk::registry {

inline constexpr const char* kControlSocket = "control";
inline constexpr const char* kDebuggerSocket = "gdb";
inline constexpr const char* kVsockSocket = "vsock";
inline constexpr const char* kOutputFile = "output";      // see output_log.h
inline constexpr const char* kMessagesFile = "messages";  // what its process has to say

// Held open: it stays this machine's, whatever happens to its name. Move-only.
class MachineFolder {
 public:
  [[nodiscard]] static Result<MachineFolder> open(std::string path);

  [[nodiscard]] const std::string& path() const { return path_; }  // for messages
  // A path to a file in it that is valid in this process while the folder is held, and short
  // enough for a socket's address (unix(7): 108 bytes).
  [[nodiscard]] std::string at(const std::string& file) const;

  [[nodiscard]] Result<Record> read() const;
  // In place of what was there, in one step; `durable`: also after a power cut. By one process at
  // a time: by the machine's while it lives, else by who holds the registry's lock.
  [[nodiscard]] Result<void> write(const Record& record, bool durable) const;

 private:
  MachineFolder(std::string path, base::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  base::Fd fd_;
};

}  // namespace husk::registry
