// One client of a debugged machine, from its first byte to its last: what it asks in packets, and
// what it is told. The machine stands still while it talks, but for the time between a command that
// lets it go on and the stop that answers it ("all-stop"; a vCPU is a thread, counted from 1).
//
// Source: the GDB manual, appendix "Remote Protocol". Nothing a client sends can do more than what
// a debugger of this machine may do.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gdb/breakpoints.h"
#include "gdb/packet.h"
#include "gdb/target.h"

namespace husk::gdb {

// One thread.
class Session {
 public:
  using Send = std::function<void(std::string_view bytes)>;

  // Stops the machine; the client expects to find it so.
  Session(Target& target, Send send);
  // The machine goes on, and nothing of the client's is left in it.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void receive(std::string_view bytes);
  // Something may have happened to the machine.
  void look();
  // There is no more to say: hang up.
  [[nodiscard]] bool over() const { return over_; }

 private:
  // The answer to a packet; nullopt: there is none, or it comes with the next stop.
  using Answer = std::optional<std::string>;

  void handle(const Received& received);
  void handle_packet(const std::string& packet);
  void send(std::string_view payload);
  void interrupt();

  // session.cc: what is about the session itself.
  [[nodiscard]] Answer answer(std::string_view packet);
  [[nodiscard]] Answer select(std::string_view args);    // H
  [[nodiscard]] Answer is_alive(std::string_view args);  // T
  [[nodiscard]] Answer detach();
  [[nodiscard]] std::optional<uint32_t> vcpu_of(std::string_view thread) const;

  // queries.cc
  [[nodiscard]] Answer query(std::string_view packet);  // q
  [[nodiscard]] Answer description(std::string_view args) const;
  [[nodiscard]] std::string thread_list() const;

  // run_control.cc
  [[nodiscard]] Answer verbose(std::string_view packet);  // v
  [[nodiscard]] Answer resume_by(std::string_view actions);
  [[nodiscard]] Answer resume_old(char command, std::string_view address);  // c, s, C, S
  [[nodiscard]] Answer go(const std::vector<Action>& actions);
  [[nodiscard]] std::string stop_reply(const Stop& stop);
  [[nodiscard]] std::string interrupt_reply() const;
  [[nodiscard]] static std::string end_reply(const End& end);

  // data.cc
  [[nodiscard]] Answer read_registers();
  [[nodiscard]] Answer write_registers(std::string_view hex);
  [[nodiscard]] Answer read_register(std::string_view number);
  [[nodiscard]] Answer write_register(std::string_view args);
  [[nodiscard]] Answer read_memory(std::string_view args);
  [[nodiscard]] Answer write_memory(std::string_view args, bool binary);  // M, X
  [[nodiscard]] Answer point(std::string_view packet);                    // Z, z
  [[nodiscard]] Result<void> add_point(char type, uint64_t address, uint64_t length);
  void remove_point(char type, uint64_t address, uint64_t length);

  Target& target_;
  Send send_;
  PacketParser parser_;
  Breakpoints breakpoints_;
  std::string sent_;  // the last packet, for kNak
  bool acks_ = true, acks_off_next_ = false;
  bool running_ = false, over_ = false;
  uint32_t selected_ = 0;                // for registers and memory
  std::optional<uint32_t> to_continue_;  // for commands of old; nothing: all
};

// The answers of commands.
inline constexpr std::string_view kOk = "OK";
inline constexpr std::string_view kUnknown{};          // the protocol's "I do not know that"
inline constexpr std::string_view kMalformed = "E16";  // EINVAL, in hexadecimal
[[nodiscard]] std::string error_answer(const Error& error);
[[nodiscard]] std::string answer_of(const Result<void>& result);

}  // namespace husk::gdb
