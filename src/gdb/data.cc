// Registers, memory and breakpoints.
#include <algorithm>

#include "gdb/session.h"

namespace husk::gdb {
namespace {

constexpr size_t kMostBytes = kMostPayload / 2;  // of memory in one packet, in digits

// GDB takes an answer to m for data, unless it has this form (EFAULT, in hexadecimal).
constexpr std::string_view kNoMemory = "E0e";

struct Range {
  uint64_t address = 0, length = 0;
};

// "ADDRESS,LENGTH"
std::optional<Range> range_of(std::string_view text) {
  const auto address = number_from_hex(take_until(text, ','));
  const auto length = number_from_hex(text);
  if (!address || !length) return std::nullopt;
  return Range{*address, *length};
}

// A register's place in all of them.
std::optional<Range> register_at(const Architecture& architecture, std::string_view number) {
  const auto n = number_from_hex(number);
  if (!n || *n >= architecture.registers()) return std::nullopt;
  const size_t begin = architecture.offsets[*n];
  return Range{begin, architecture.offsets[*n + 1] - begin};
}

}  // namespace

Session::Answer Session::read_registers() {
  const auto bytes = target_.registers(selected_);
  return bytes ? to_hex(*bytes) : error_answer(bytes.error());
}

Session::Answer Session::write_registers(std::string_view hex) {
  const auto bytes = bytes_from_hex(hex);
  if (!bytes || bytes->size() != target_.architecture().offsets.back())
    return std::string(kMalformed);
  return answer_of(target_.set_registers(selected_, *bytes));
}

Session::Answer Session::read_register(std::string_view number) {
  const auto place = register_at(target_.architecture(), number);
  if (!place) return std::string(kMalformed);
  const auto bytes = target_.registers(selected_);
  if (!bytes) return error_answer(bytes.error());
  return to_hex(std::span(*bytes).subspan(place->address, place->length));
}

// "NUMBER=BYTES"
Session::Answer Session::write_register(std::string_view args) {
  const auto place = register_at(target_.architecture(), take_until(args, '='));
  const auto value = bytes_from_hex(args);
  if (!place || !value || value->size() != place->length) return std::string(kMalformed);
  auto bytes = target_.registers(selected_);
  if (!bytes) return error_answer(bytes.error());
  std::ranges::copy(*value, bytes->begin() + static_cast<ptrdiff_t>(place->address));
  return answer_of(target_.set_registers(selected_, *bytes));
}

Session::Answer Session::read_memory(std::string_view args) {
  const auto range = range_of(args);
  if (!range || range->length > kMostBytes) return std::string(kMalformed);
  const auto bytes = breakpoints_.read(selected_, range->address, range->length);
  return bytes ? to_hex(*bytes) : std::string(kNoMemory);
}

// "ADDRESS,LENGTH:BYTES"
Session::Answer Session::write_memory(std::string_view args, bool binary) {
  const auto range = range_of(take_until(args, ':'));
  const auto raw = std::as_bytes(std::span(args));
  const auto bytes = binary ? Bytes(raw.begin(), raw.end()) : bytes_from_hex(args);
  if (!range || !bytes || bytes->size() != range->length) return std::string(kMalformed);
  return answer_of(breakpoints_.write(selected_, range->address, *bytes));
}

// "Z0,ADDRESS,KIND": the kind of a breakpoint is the length of its instruction, of which there is
// one.
Session::Answer Session::point(std::string_view packet) {
  const char type = packet.size() > 2 && packet[2] == ',' ? packet[1] : '?';
  if (type == '?') return std::string(kMalformed);
  if (type < '0' || type > '4' || type == '3') return std::string(kUnknown);  // 3: reads alone
  std::string_view args = packet.substr(3);
  const auto range = range_of(take_until(args, ';'));
  if (!range || !args.empty()) return std::string(kMalformed);  // what follows are conditions
  if (packet.front() == 'Z') return answer_of(add_point(type, range->address, range->length));
  remove_point(type, range->address, range->length);
  return std::string(kOk);
}

Result<void> Session::add_point(char type, uint64_t address, uint64_t length) {
  if (type == '0') return breakpoints_.add_software(selected_, address);
  if (type == '1') return breakpoints_.add_hardware(address);
  const auto kind = type == '2' ? DebugPoint::Kind::kWrite : DebugPoint::Kind::kAccess;
  return breakpoints_.add_watch(kind, address, length);
}

void Session::remove_point(char type, uint64_t address, uint64_t length) {
  if (type == '0') return breakpoints_.remove_software(address);
  if (type == '1') return breakpoints_.remove_hardware(address);
  const auto kind = type == '2' ? DebugPoint::Kind::kWrite : DebugPoint::Kind::kAccess;
  breakpoints_.remove_watch(kind, address, length);
}

}  // namespace husk::gdb
