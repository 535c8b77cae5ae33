#include "runtime/serial_watch.h"

#include "husk/lifecycle.h"

namespace husk::runtime {
namespace {

constexpr size_t kLongestLine = 1024;  // the rest is dropped
constexpr std::string_view kPanicMarker = "Kernel panic - not syncing: ";

}  // namespace

void SerialWatch::write(std::span<const std::byte> data) {
  for (const std::byte byte : data) {
    const char c = static_cast<char>(byte);
    if (c == '\n') {
      take_line();
    } else if (c != '\r' && line_.size() < kLongestLine) {
      line_ += c;
    }
  }
}

void SerialWatch::take_line() {
  on_line_(line_);
  if (const auto address = lifecycle::parse_ready_line(line_)) on_ready_(*address);
  if (const size_t at = line_.find(kPanicMarker); at != std::string::npos && panic_.empty())
    panic_ = line_.substr(at + kPanicMarker.size());
  line_.clear();
}

}  // namespace husk::runtime
