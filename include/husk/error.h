// Errors as values: what failed, on what, and why. Part of the room `base`; public because every
// public function that can fail returns a Result.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace husk {

enum class ErrorKind {
  kInvalidArgument,  // a flag, a field or a call's argument is wrong; nothing was done
  kNotFound,         // a named thing does not exist
  kIo,               // the operating system refused; os_errno says how
  kCorrupt,          // data that was read breaks its format's rules
  kUnsupported,      // well formed, but this build, host or backend cannot do it
  kLimit,            // a stated limit was reached
  kState,            // the call does not fit the object's present state
  kTimeout,          // a wait ended without the thing waited for
  kBackend,          // the backend (hypervisor or built-in CPU) failed
};

// One failure. `subject` names the thing (a file, a flag, a device), `why` the reason; both are
// meant to be read by a user. os_errno is 0 where no system call was involved.
struct Error {
  ErrorKind kind = ErrorKind::kIo;
  std::string subject;
  std::string why;
  int os_errno = 0;

  // One line, no newline: "SUBJECT: WHY" with the errno's text appended where there is one.
  [[nodiscard]] std::string message() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

// Builds the unexpected side of a Result.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string subject,
                                                 std::string why) {
  return std::unexpected(Error{kind, std::move(subject), std::move(why), 0});
}

// As fail(kIo, ...), with the present errno.
[[nodiscard]] std::unexpected<Error> fail_errno(std::string subject, std::string why);

}  // namespace husk
