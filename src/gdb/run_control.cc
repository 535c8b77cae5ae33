// Letting the machine go on, and telling why it has stopped.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "gdb/session.h"

namespace husk::gdb {
namespace {

constexpr int kInterrupted = 2, kTrapped = 5, kAborted = 6;  // SIGINT, SIGTRAP, SIGABRT

// A breakpoint's PC is its own address already; the feature says so.
std::string_view reason_of(DebugCause cause) {
  switch (cause) {
    case DebugCause::kBreakpoint:
      return "hwbreak:;";
    case DebugCause::kSoftwareBreakpoint:
      return "swbreak:;";
    default:
      return "";
  }
}

// 'c' and 's', with a signal or not: a machine takes none. nullopt: not an action.
std::optional<Action> action_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool has_signal = text.front() == 'C' || text.front() == 'S';
  if (has_signal ? !number_from_hex(text.substr(1)) : text.size() != 1) return std::nullopt;
  switch (text.front()) {
    case 'c':
    case 'C':
      return Action::kRun;
    case 's':
    case 'S':
      return Action::kStep;
    default:
      return std::nullopt;
  }
}

}  // namespace

Session::Answer Session::verbose(std::string_view packet) {
  if (packet == "vCont?") return "vCont;c;C;s;S";
  if (packet.starts_with("vCont;")) return resume_by(packet.substr(6));
  if (packet.starts_with("vKill")) {
    target_.kill();
    over_ = true;
    return std::string(kOk);
  }
  return std::string(kUnknown);
}

// "s:1;c": for each thread the first action that names it, or names none. Without one it stays.
Session::Answer Session::resume_by(std::string_view actions) {
  if (actions.empty()) return std::string(kMalformed);
  std::vector<std::optional<Action>> chosen(target_.vcpus());
  while (!actions.empty()) {
    std::string_view threads = take_until(actions, ';');
    const auto action = action_of(take_until(threads, ':'));
    const bool all = threads.empty() || threads == "-1";
    const auto one = vcpu_of(threads);
    if (!action || (!all && !one)) return std::string(kMalformed);
    for (uint32_t vcpu = 0; vcpu < chosen.size(); ++vcpu)
      if ((all || vcpu == one) && !chosen[vcpu]) chosen[vcpu] = action;
  }
  std::vector<Action> final_choice;
  for (const auto& action : chosen) final_choice.push_back(action.value_or(Action::kStay));
  return go(final_choice);
}

// Of clients that do not know vCont. To go on elsewhere (an address) is for those that do not know
// how to write registers.
Session::Answer Session::resume_old(char command, std::string_view address) {
  const bool has_signal = command == 'C' || command == 'S';
  if (!has_signal && !address.empty()) return std::string(kUnknown);
  const Action action = command == 'c' || command == 'C' ? Action::kRun : Action::kStep;
  std::vector<Action> actions(target_.vcpus(), Action::kStay);
  if (action == Action::kRun && !to_continue_) {
    actions.assign(actions.size(), Action::kRun);
  } else {
    actions[to_continue_.value_or(selected_)] = action;
  }
  return go(actions);
}

Session::Answer Session::go(const std::vector<Action>& actions) {
  if (const auto gone = target_.go(actions, breakpoints_.points()); !gone && !target_.end())
    return error_answer(gone.error());
  running_ = true;
  look();
  return std::nullopt;
}

void Session::look() {
  if (!running_ || over_) return;
  if (const auto end = target_.end()) {
    send(end_reply(*end));
    over_ = true;
  } else if (const auto stop = target_.take_stop()) {
    running_ = false;
    send(stop_reply(*stop));
  }
}

void Session::interrupt() {
  look();
  if (!running_ || over_) return;
  if (const auto halted = target_.halt(); !halted && !target_.end()) {
    base::log(base::LogLevel::kWarn, "gdb: {}", halted.error().message());
    over_ = true;
    return;
  }
  look();  // it may have stopped, or ended, by itself
  if (!running_ || over_) return;
  running_ = false;
  send(fmt::format("T{:02x}thread:{:x};", kInterrupted, selected_ + 1));
}

std::string Session::stop_reply(const Stop& stop) {
  selected_ = stop.vcpu;
  std::string text = fmt::format("T{:02x}thread:{:x};", kTrapped, stop.vcpu + 1);
  if (stop.why.cause != DebugCause::kWatchpoint) return text.append(reason_of(stop.why.cause));
  const auto watches = [&](const DebugPoint& point) {
    return point.addr == stop.why.addr && point.kind == DebugPoint::Kind::kAccess;
  };
  const auto& points = breakpoints_.points().hardware;
  const bool access = std::ranges::any_of(points, watches);
  return text + fmt::format("{}:{:x};", access ? "awatch" : "watch", stop.why.addr);
}

std::string Session::interrupt_reply() const {
  return fmt::format("T{:02x}thread:{:x};", kTrapped, selected_ + 1);
}

std::string Session::end_reply(const End& end) {
  return end.by_itself ? fmt::format("W{:02x}", end.code) : fmt::format("X{:02x}", kAborted);
}

}  // namespace husk::gdb
