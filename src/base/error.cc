#include "husk/error.h"

#include <cerrno>
#include <cstring>

namespace husk {

std::string Error::message() const {
  std::string text = subject.empty() ? why : subject + ": " + why;
  if (os_errno != 0) text += std::string(": ") + std::strerror(os_errno);
  return text;
}

std::unexpected<Error> fail_errno(std::string subject, std::string why) {
  const int saved = errno;
  return std::unexpected(Error{ErrorKind::kIo, std::move(subject), std::move(why), saved});
}

}  // namespace husk
