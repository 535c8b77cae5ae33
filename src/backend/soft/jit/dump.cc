#include "backend/soft/jit/dump.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>

namespace husk::soft::jit {

namespace {

void add_hex(std::string& line, uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  line.append(digits, end);
  line += ' ';
}

void add_hex(std::string& line, std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const uint8_t byte : bytes) {
    line += kDigits[byte >> 4];
    line += kDigits[byte & 15];
  }
  line += ' ';
}

}  // namespace

Dump::Dump() {
  const char* path = std::getenv("HUSK_JIT_DUMP");
  if (path != nullptr)
    file_ = base::Fd(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
}

void Dump::add(uint64_t rip, const void* executed_at, std::span<const uint8_t> guest,
               std::span<const uint8_t> code) const {
  if (!file_.valid()) return;
  std::string line;
  add_hex(line, rip);
  add_hex(line, reinterpret_cast<uintptr_t>(executed_at));
  add_hex(line, guest);
  add_hex(line, code);
  line.back() = '\n';
  [[maybe_unused]] const auto ignored = ::write(file_.get(), line.data(), line.size());
}

}  // namespace husk::soft::jit
