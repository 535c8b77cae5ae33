#include "agent/guest/agent.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "agent/guest/listener.h"

namespace husk::agent {
namespace {

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

void Agent::run() {
  ::signal(SIGPIPE, SIG_IGN);  // a command may close its input
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  children_ = Descriptor(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  while (!done_) turn();
}

void Agent::turn() {
  std::vector<pollfd> descriptors{{listener_.get(), POLLIN, 0}, {children_.get(), POLLIN, 0}};
  for (const Caller& caller : callers_) descriptors.push_back({caller.connection.get(), POLLIN, 0});
  if (main_ != nullptr) main_->watch(descriptors);
  for (Session& exec : execs_) exec.watch(descriptors);
  ::poll(descriptors.data(), descriptors.size(), patience(now_ms()));
  const int64_t now = now_ms();
  if (descriptors[1].revents != 0) reap(now);
  for (Session& exec : execs_) exec.turn(descriptors, now);
  if (main_ != nullptr) main_->turn(descriptors, now);
  tell_ends(now);
  execs_.remove_if([](const Session& exec) { return !exec.attached() || exec.done(); });
  if (descriptors[0].revents != 0) answer();
  hear_callers();
  done_ = main_ != nullptr && main_->done();
}

int Agent::patience(int64_t now) const {
  int64_t first = main_ != nullptr ? main_->deadline() : -1;
  for (const Session& exec : execs_) {
    const int64_t other = exec.deadline();
    if (other >= 0 && (first < 0 || other < first)) first = other;
  }
  return first < 0 ? -1 : static_cast<int>(std::max<int64_t>(first - now, 0));
}

void Agent::reap(int64_t now) {
  signalfd_siginfo ignored;
  while (::read(children_.get(), &ignored, sizeof(ignored)) > 0) {
  }
  bool last = false;
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) last |= was_last(pid, status, now);
  if (last) end_others(pid == 0);
}

// The child was one with which others end.
bool Agent::was_last(pid_t pid, int status, int64_t now) {
  if (main_ != nullptr && main_->child_ended(pid, status, now)) return true;
  for (Session& exec : execs_) {
    if (exec.child_ended(pid, status, now)) return &exec == warm_up_;
  }
  return false;
}

// What else runs ends with the main command, as in any container; it could write for ever. And with
// a warm-up: no process is to be the same one in many machines. Whatever is left of them is a child
// of PID 1; without one the kernel need not look through all of its threads.
void Agent::end_others(bool some) {
  for (Session& exec : execs_) exec.kill();
  if (some && ::getpid() == 1) ::kill(-1, SIGKILL);
}

// The ends of further commands are told before the main one's, at which the host may stop the
// machine; but for a host that does not read them nobody waits.
void Agent::tell_ends(int64_t now) {
  bool others = false;
  for (Session& exec : execs_) {
    if (exec.ended() && exec.drained(now)) exec.report();
    others |= exec.attached() && exec.begun() && !exec.reported() && !exec.stalled();
  }
  if (main_ == nullptr || !main_->ended() || main_->reported() || !main_->drained(now) || others)
    return;
  if (::getpid() == 1) ::sync();
  main_->report();
}

void Agent::answer() {
  for (Descriptor peer; (peer = accept_host(listener_.get())).valid();) {
    if (callers_.size() == kMostCallers) callers_.pop_front();
    callers_.push_back({std::move(peer), {}});
  }
}

void Agent::hear_callers() {
  callers_.remove_if([this](Caller& caller) { return hear(caller); });
}

bool Agent::hear(Caller& caller) {
  char buffer[4096];
  const ssize_t n = ::recv(caller.connection.get(), buffer, sizeof(buffer), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) return true;
  caller.parser.feed({buffer, static_cast<size_t>(n)});
  const auto greeting = caller.parser.next();
  if (!greeting) return caller.parser.broken();
  const std::string error = admit(caller, *greeting);
  if (error.empty()) return true;
  const std::string refusal = encode(Type::kRefused, error);
  [[maybe_unused]] const ssize_t sent =
      ::send(caller.connection.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL);
  return true;
}

std::string Agent::admit(Caller& caller, const Frame& greeting) {
  const auto version = decode_number(greeting.payload);
  const auto kind = version ? decode_number(version->text) : std::nullopt;
  if (greeting.type != Type::kAttach || !kind) return "a session begins with an attach";
  if (version->number != kProtocolVersion)
    return "the guest's agent speaks version " + std::to_string(kProtocolVersion) +
           " of its protocol, not " + std::to_string(version->number);
  Session* session = nullptr;
  const auto wanted = static_cast<SessionKind>(kind->number);
  const std::string refusal = wanted == SessionKind::kMain     ? admit_main(session)
                              : wanted == SessionKind::kWarmUp ? admit_warm_up(session)
                                                               : admit_exec(session);
  if (!refusal.empty()) return refusal;
  if (session->attach(caller.connection, caller.parser, greeting.sequence)) return {};
  return "what came before frame " + std::to_string(greeting.sequence) + " is not known";
}

std::string Agent::admit_main(Session*& session) {
  warm_up_ = nullptr;
  if (main_ == nullptr)
    main_ = std::make_unique<Session>([this](RunRequest& r) { return prepare_main(r); },
                                      setup_.take_over);
  session = main_.get();
  return {};
}

std::string Agent::admit_warm_up(Session*& session) {
  if (main_ != nullptr || !execs_.empty()) return "the container is in use already";
  session = &execs_.emplace_back([this](RunRequest& r) { return prepare_root(r); });
  warm_up_ = session;
  return {};
}

std::string Agent::admit_exec(Session*& session) {
  if (container_.argv.empty()) return "no command runs in the container yet";
  if (execs_.size() == kMostExecs)
    return "the container runs " + std::to_string(kMostExecs) + " further commands already";
  session = &execs_.emplace_back([this](RunRequest& r) { return prepare_exec(r); });
  return {};
}

std::string Agent::prepare_root(const RunRequest& request) {
  setup_.take_over(
      {request.realtime_ns, request.entropy, request.hostname, {}});  // there is no /etc yet
  if (entered_) return {};
  std::string error = setup_.enter_root();
  entered_ = error.empty();
  return error;
}

std::string Agent::prepare_main(RunRequest& request) {
  if (request.argv.empty()) return "no command was given";
  std::string error = prepare_root(request);
  if (!error.empty()) return error;
  setup_.write_names(request.hostname, request.machine_id);
  container_ = request;
  return {};
}

std::string Agent::prepare_exec(RunRequest& request) const {
  if (request.argv.empty()) return "no command was given";
  if (main_->ended()) return "the container's command has ended";
  std::vector<std::string> environment = container_.environment;
  for (std::string& entry : request.environment) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(environment, [&](const std::string& old) { return old.rfind(name, 0) == 0; });
    environment.push_back(std::move(entry));
  }
  request.environment = std::move(environment);
  if (request.user.empty()) request.user = container_.user;
  if (request.working_directory.empty()) request.working_directory = container_.working_directory;
  request.hostname = container_.hostname;
  return {};
}

}  // namespace husk::agent
