#include "gdb/session.h"

#include <utility>

#include "base/log.h"

namespace husk::gdb {

// GDB shows such a text, where it shows errors at all. A packet is one line of ASCII.
std::string error_answer(const Error& error) {
  std::string text = "E." + error.message();
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

std::string answer_of(const Result<void>& result) {
  return result ? std::string(kOk) : error_answer(result.error());
}

Session::Session(Target& target, Send send)
    : target_(target), send_(std::move(send)), breakpoints_(target) {
  const auto halted = target_.halt();
  if (halted) return;
  base::log(base::LogLevel::kWarn, "gdb: {}", halted.error().message());
  over_ = true;
}

Session::~Session() {
  if (running_) (void)target_.halt();
  breakpoints_.remove_all();
  target_.leave();
}

void Session::receive(std::string_view bytes) {
  for (const char byte : bytes) {
    const auto received = parser_.take(byte);
    if (over_) return;
    if (received) handle(*received);
  }
}

void Session::handle(const Received& received) {
  switch (received.kind) {
    case Received::Kind::kPacket:
      if (acks_) send_("+");
      return handle_packet(received.payload);
    case Received::Kind::kBroken:
      if (acks_) return send_("-");
      over_ = true;  // nobody would send it again
      return;
    case Received::Kind::kInterrupt:
      return interrupt();
    case Received::Kind::kNak:
      if (acks_ && !sent_.empty()) send_(sent_);
      return;
    case Received::Kind::kAck:
      return;
  }
}

// A client that talks while the machine runs has lost its step; only 0x03 is of use then.
void Session::handle_packet(const std::string& packet) {
  if (running_) return;
  if (const Answer said = answer(packet)) send(*said);
  if (std::exchange(acks_off_next_, false)) acks_ = false;
}

void Session::send(std::string_view payload) {
  sent_ = frame(payload);
  send_(sent_);
}

Session::Answer Session::answer(std::string_view packet) {
  if (packet.empty()) return std::string(kUnknown);
  const std::string_view args = packet.substr(1);
  switch (packet.front()) {
    case '?':
      return interrupt_reply();
    case 'g':
      return read_registers();
    case 'G':
      return write_registers(args);
    case 'p':
      return read_register(args);
    case 'P':
      return write_register(args);
    case 'm':
      return read_memory(args);
    case 'M':
    case 'X':
      return write_memory(args, packet.front() == 'X');
    case 'Z':
    case 'z':
      return point(packet);
    case 'c':
    case 's':
    case 'C':
    case 'S':
      return resume_old(packet.front(), args);
    case 'v':
      return verbose(packet);
    case 'q':
    case 'Q':
      return query(packet);
    case 'H':
      return select(args);
    case 'T':
      return is_alive(args);
    case 'D':
      return detach();
    case 'k':
      target_.kill();
      over_ = true;
      return std::nullopt;
    default:
      return std::string(kUnknown);
  }
}

std::optional<uint32_t> Session::vcpu_of(std::string_view thread) const {
  const auto id = number_from_hex(thread);
  if (!id || *id == 0 || *id > target_.vcpus()) return std::nullopt;
  return static_cast<uint32_t>(*id - 1);
}

// "Hg2", "Hc-1"; 0 is any thread, -1 all of them.
Session::Answer Session::select(std::string_view args) {
  if (args.empty()) return std::string(kMalformed);
  const std::string_view thread = args.substr(1);
  const bool any = thread == "0" || thread == "-1";
  const auto vcpu = vcpu_of(thread);
  if (!vcpu && !any) return std::string(kMalformed);
  if (args.front() == 'c') {
    to_continue_ = vcpu;
  } else if (args.front() != 'g') {
    return std::string(kUnknown);
  } else if (vcpu) {
    selected_ = *vcpu;
  }
  return std::string(kOk);
}

Session::Answer Session::is_alive(std::string_view args) {
  return std::string(vcpu_of(args) ? kOk : kMalformed);
}

Session::Answer Session::detach() {
  over_ = true;
  return std::string(kOk);
}

}  // namespace husk::gdb
