// A conversation with the agent over a socket, in a process of its own that stands for the guest.
#include "agent/guest/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <list>

namespace husk::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kPatienceMs = 20'000;

std::string no_root() { return {}; }
void no_names(const std::string&, const std::string&) {}
// Makes a file by the name that the guest is to have.
void leave_a_mark(const Moment& present) { ::close(::creat(present.hostname.c_str(), 0600)); }
std::string bad_root() { return "no disk is the root"; }

// The guest's process, which listens at a nameless Unix socket.
class Guest {
 public:
  explicit Guest(std::string (*enter_root)() = no_root) {
    Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    address_.sun_family = AF_UNIX;
    size_ = sizeof(address_.sun_family);  // the kernel finds an abstract name
    if (::bind(listener.get(), address(), size_) != 0 || ::listen(listener.get(), 100) != 0)
      ::abort();
    size_ = sizeof(address_);
    if (::getsockname(listener.get(), address(), &size_) != 0) ::abort();
    pid_ = ::fork();
    if (pid_ != 0) return;
    Agent(std::move(listener), {enter_root, leave_a_mark, no_names}).run();
    ::_exit(0);
  }
  ~Guest() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  [[nodiscard]] Descriptor connect() {
    Descriptor peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(peer.get(), address(), size_) != 0) ::abort();
    return peer;
  }
  [[nodiscard]] bool has_ended() const { return ::waitpid(pid_, nullptr, WNOHANG) != 0; }
  [[nodiscard]] bool process_ends() const {
    for (int waited = 0; waited < kPatienceMs; waited += 10) {
      if (has_ended()) return true;
      ::usleep(10'000);
    }
    return false;
  }

 private:
  sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }
  pid_t pid_ = -1;
  sockaddr_un address_{};
  socklen_t size_ = 0;
};

// The host's side of a session, over one connection after another.
class Call {
 public:
  explicit Call(Guest& guest, SessionKind kind = SessionKind::kMain) : guest_(guest), kind_(kind) {
    connect();
    link_.go_on(1);
  }
  // Somebody else's session, of whom it is known what it wants next.
  Call(Guest& guest, SessionKind kind, uint64_t wanted)
      : guest_(guest), kind_(kind), link_(LinkPosition{.wanted = wanted, .first = 2, .kept = {}}) {
    connect();
  }
  [[nodiscard]] uint64_t wanted() const { return link_.wanted(); }
  void say_raw(std::string_view bytes) {
    ASSERT_EQ(::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  void connect() {
    connection_ = guest_.connect();
    link_.begin(encode_attach(kind_, link_.wanted()));
  }
  void hang_up() { connection_.reset(); }
  void send(Type type, std::string_view payload = {}) {
    link_.send(type, payload);
    flush();
  }
  void run(std::vector<std::string> argv, bool input = false) {
    RunRequest request;
    request.argv = std::move(argv);
    request.input = input;
    if (kind_ == SessionKind::kMain) {
      request.environment = {"PATH=/usr/bin:/bin", "WHOSE=main"};
      request.working_directory = "/tmp";
    }
    send(Type::kRun, encode_run(request));
  }

  // The next frame; nullopt when the agent is gone or says nothing for long.
  std::optional<Frame> next() {
    for (;;) {
      flush();
      if (auto frame = link_.next()) {
        if (frame->type == Type::kAttached) {
          link_.go_on(frame->sequence);
          continue;
        }
        if (frame->type != Type::kRefused) link_.delivered(*frame);
        if (frame->type == Type::kExited || frame->type == Type::kFailed) link_.acknowledge();
        flush();
        return frame;
      }
      pollfd readable{connection_.get(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&readable, 1, kPatienceMs) <= 0) return std::nullopt;
      const ssize_t n = ::read(connection_.get(), buffer, sizeof(buffer));
      if (n <= 0) return std::nullopt;
      link_.feed({buffer, static_cast<size_t>(n)});
    }
  }
  // Takes frames up to the one of `type`, and keeps what the command wrote.
  std::optional<Frame> until(Type type) {
    while (auto frame = next()) {
      if (frame->type == Type::kStdout) out += frame->payload;
      if (frame->type == Type::kStderr) err += frame->payload;
      if (frame->type == type) return frame;
    }
    return std::nullopt;
  }
  // "code reason" of the command's end.
  std::string end() {
    const auto frame = until(Type::kExited);
    const auto number = frame ? decode_number(frame->payload) : std::nullopt;
    if (!number) return "no end";
    return std::to_string(number->number) + " " + std::string(number->text);
  }
  std::string refusal() {
    const auto frame = next();
    return frame && frame->type == Type::kRefused ? frame->payload : "not refused";
  }

  std::string out, err;

 private:
  void flush() {
    for (std::string_view bytes; !(bytes = link_.outgoing()).empty();) {
      const ssize_t n = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      link_.wrote(static_cast<size_t>(n));
    }
  }

  Guest& guest_;
  SessionKind kind_;
  Descriptor connection_;
  Link link_;
};

TEST(Agent, KeepsOutputAndErrorsApartAndTellsTheCode) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(call.end(), "7 ");
  EXPECT_EQ(call.out, "out\n");
  EXPECT_EQ(call.err, "err\n");
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, NothingOfALongOutputIsLost) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "head -c 3000000 /dev/zero; echo end"});
  EXPECT_EQ(call.end(), "0 ");
  EXPECT_EQ(call.out.size(), 3'000'004U);
}

// Sizes around what the port and the agent hold, so that some command ends with a part of its
// output in the pipe, where the agent leaves it until there is room.
TEST(Agent, AHostThatTakesNothingForAWhileLosesNothing) {
  for (size_t size = 300'000; size < 800'000; size += 30'000) {
    Guest guest;
    Call call(guest);
    call.run({"sh", "-c", "head -c " + std::to_string(size) + " /dev/zero"});
    ::usleep(250'000);
    EXPECT_EQ(call.end(), "0 ");
    EXPECT_EQ(call.out.size(), size);
  }
}

TEST(Agent, InputGoesInIsCreditedAndEnds) {
  Guest guest;
  Call call(guest);
  call.run({"cat"}, true);
  ASSERT_TRUE(call.until(Type::kStarted));
  call.send(Type::kStdin, "some ");
  call.send(Type::kStdin, "words");
  uint32_t credit = 0;
  while (credit < 10) {
    const auto frame = call.until(Type::kCredit);
    ASSERT_TRUE(frame);
    credit += decode_number(frame->payload)->number;
  }
  EXPECT_EQ(credit, 10U);
  call.send(Type::kStdinClose, "");
  EXPECT_EQ(call.end(), "0 ");
  EXPECT_EQ(call.out, "some words");
}

TEST(Agent, InputThatNobodyReadsIsCreditedTooAndHarmsNobody) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "exec <&-; read line; sleep 1; exit 3"}, true);
  ASSERT_TRUE(call.until(Type::kStarted));
  call.send(Type::kStdin, std::string(5000, 'x'));
  EXPECT_EQ(call.end(), "3 ");
}

TEST(Agent, ASignalReachesTheCommand) {
  Guest guest;
  Call call(guest);
  call.run(
      {"sh", "-c", "trap 'echo caught; exit 4' USR1; echo ready; while :; do sleep 0.01; done"});
  ASSERT_TRUE(call.until(Type::kStdout));
  call.send(Type::kSignal, number_payload(SIGUSR1));
  EXPECT_EQ(call.end(), "4 ");
  EXPECT_EQ(call.out, "ready\ncaught\n");
}

TEST(Agent, ADeadlySignalIsTheCode) {
  Guest guest;
  Call call(guest);
  call.run({"sleep", "1000"});
  ASSERT_TRUE(call.until(Type::kStarted));
  call.send(Type::kSignal, number_payload(SIGTERM));
  EXPECT_EQ(call.end(), "143 ");
}

// The second time that it is entered something is wrong.
std::string once() {
  static int times = 0;
  return ++times == 1 ? "" : "entered again";
}

TEST(Agent, AWarmUpReadiesTheGuestForTheMainCommand) {
  Guest guest(once);
  {
    Call warm_up(guest, SessionKind::kWarmUp);
    warm_up.run({"sh", "-c", "echo warm"});
    EXPECT_EQ(warm_up.end(), "0 ");
    EXPECT_EQ(warm_up.out, "warm\n");
    EXPECT_FALSE(warm_up.next()) << "the agent hangs up once its end is known";
  }
  EXPECT_FALSE(guest.has_ended());
  Call main(guest);
  main.run({"sh", "-c", "echo main; exit 3"});
  EXPECT_EQ(main.end(), "3 ");
  EXPECT_EQ(main.out, "main\n");
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, AWarmUpWithoutACommandIsOneToo) {
  Guest guest(once);
  Call warm_up(guest, SessionKind::kWarmUp);
  warm_up.run({});
  EXPECT_EQ(warm_up.end(), "0 ");
  Call main(guest);
  main.run({"true"});
  EXPECT_EQ(main.end(), "0 ");
}

TEST(Agent, AWarmUpIsAlone) {
  Guest guest;
  Call warm_up(guest, SessionKind::kWarmUp);
  warm_up.run({"sleep", "1000"});
  ASSERT_TRUE(warm_up.until(Type::kStarted));
  Call second(guest, SessionKind::kWarmUp);
  EXPECT_EQ(second.refusal(), "the container is in use already");
  Call exec(guest, SessionKind::kExec);
  EXPECT_EQ(exec.refusal(), "no command runs in the container yet");
  Call main(guest);
  main.run({"sleep", "1000"});
  ASSERT_TRUE(main.until(Type::kStarted));
  Call late(guest, SessionKind::kWarmUp);
  EXPECT_EQ(late.refusal(), "the container is in use already");
}

TEST(Agent, TheMainSessionAloneTellsOfThePresent) {
  Guest guest;
  char directory[] = "/tmp/husk-agent-test-XXXXXX";
  ASSERT_NE(::mkdtemp(directory), nullptr);
  const std::string mark = std::string(directory) + "/mark";
  Call call(guest), other(guest, SessionKind::kExec);
  call.run({"sh", "-c", "until [ -e $0 ]; do sleep .01; done; rm $0; echo told", mark});
  ASSERT_TRUE(call.until(Type::kStarted));
  other.send(Type::kResumed, encode_moment({1, "entropy", mark, {}}));
  other.run({"ls", directory});
  EXPECT_EQ(other.end(), "0 ");
  EXPECT_EQ(other.out, "");
  call.send(Type::kResumed, "no moment");
  call.send(Type::kResumed, encode_moment({1, "entropy", mark, {}}));
  EXPECT_EQ(call.end(), "0 ");
  EXPECT_EQ(call.out, "told\n");
  ::rmdir(directory);
}

TEST(Agent, NamesWhatCannotBeRun) {
  Guest first, second;
  Call missing(first), directory(second);
  missing.run({"no-such-program"});
  EXPECT_THAT(missing.end(), StartsWith("127 "));
  directory.run({"/tmp"});
  EXPECT_THAT(directory.end(), StartsWith("126 "));
}

TEST(Agent, ARootThatFailsIsToldAndNothingRuns) {
  Guest guest(bad_root);
  Call call(guest);
  call.run({"sh", "-c", "echo never"});
  const auto failed = call.until(Type::kFailed);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->payload, "no disk is the root");
  EXPECT_EQ(call.out, "");
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, ARequestThatCannotBeReadIsRefused) {
  Guest guest;
  Call call(guest);
  call.send(Type::kRun, "nonsense");
  const auto failed = call.until(Type::kFailed);
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->payload, HasSubstr("cannot be read"));
}

TEST(Agent, ASecondRequestIsIgnored) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "sleep 0.2; echo first"});
  call.run({"sh", "-c", "echo second"});
  EXPECT_EQ(call.end(), "0 ");
  EXPECT_EQ(call.out, "first\n");
}

// The frames of a session, wherever it is cut.
TEST(Agent, ACommandWhoseConnectionIsCutAgainAndAgainLosesAndRepeatsNothing) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "for i in $(seq 20000); do echo line $i; done; exit 5"});
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += "line " + std::to_string(i) + "\n";
  int cuts = 0;
  std::string end;
  while (end.empty()) {
    for (int frames = 0; frames < 3 && end.empty(); ++frames) {
      const auto frame = call.next();
      ASSERT_TRUE(frame);
      if (frame->type == Type::kStdout) call.out += frame->payload;
      if (frame->type == Type::kExited) end = std::to_string(decode_number(frame->payload)->number);
    }
    if (!end.empty()) break;
    call.hang_up();
    call.connect();
    ++cuts;
  }
  EXPECT_GE(cuts, 2);
  EXPECT_EQ(end, "5");
  EXPECT_EQ(call.out, expected);
}

TEST(Agent, InputGoesOnOverAnotherConnection) {
  Guest guest;
  Call call(guest);
  call.run({"cat"}, true);
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string line = "typed " + std::to_string(i) + "\n";
    expected += line;
    call.send(Type::kStdin, line);
    if (i % 20 != 19) continue;
    call.hang_up();
    call.connect();
    ASSERT_TRUE(call.until(Type::kCredit));
  }
  call.send(Type::kStdinClose);
  EXPECT_EQ(call.end(), "0 ");
  EXPECT_EQ(call.out, expected);
}

TEST(Agent, TheMainCommandRunsOnWithoutAnyoneAndWaitsWhenItHasSaidALot) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "head -c 1000000 /dev/zero; exit 2"});
  ASSERT_TRUE(call.until(Type::kStarted));
  call.hang_up();
  EXPECT_FALSE([&] {
    ::usleep(200'000);
    return guest.has_ended();
  }());
  call.connect();
  EXPECT_EQ(call.end(), "2 ");
  EXPECT_EQ(call.out.size(), 1'000'000U);
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, TheLastConnectionOfASessionCounts) {
  Guest guest;
  Call first(guest);
  first.run({"sleep", "1000"});
  ASSERT_TRUE(first.until(Type::kStarted));
  Call second(guest, SessionKind::kMain, first.wanted());
  second.send(Type::kSignal, number_payload(SIGTERM));
  EXPECT_EQ(second.end(), "143 ");
  EXPECT_FALSE(first.next()) << "hung up on";
}

TEST(Agent, RefusesToGoOnFromWhereItCannot) {
  Guest guest;
  Call call(guest);
  call.run({"sleep", "1000"});
  ASSERT_TRUE(call.until(Type::kStarted));
  Call late(guest, SessionKind::kMain, 77);
  EXPECT_THAT(late.refusal(), HasSubstr("frame 77"));
}

TEST(Agent, RunsFurtherCommandsBesideTheMainOne) {
  Guest guest;
  Call main(guest);
  main.run({"sh", "-c", "read line; exit 9"}, true);
  ASSERT_TRUE(main.until(Type::kStarted));
  Call one(guest, SessionKind::kExec), two(guest, SessionKind::kExec);
  one.run({"sh", "-c", "echo one in $PWD of $WHOSE; cat; exit 1"}, true);
  two.run({"sh", "-c", "echo two >&2; exit 2"});
  EXPECT_EQ(two.end(), "2 ");
  EXPECT_EQ(two.err, "two\n");
  one.send(Type::kStdin, "typed");
  one.send(Type::kStdinClose);
  EXPECT_EQ(one.end(), "1 ");
  EXPECT_EQ(one.out, "one in /tmp of main\ntyped");
  Call missing(guest, SessionKind::kExec);
  missing.run({"no-such-program"});
  EXPECT_THAT(missing.end(), StartsWith("127 "));
  main.send(Type::kStdin, "\n");
  EXPECT_EQ(main.end(), "9 ");
}

TEST(Agent, AFurtherCommandEndsWithItsConnection) {
  Guest guest;
  Call main(guest);
  main.run({"cat"}, true);
  ASSERT_TRUE(main.until(Type::kStarted));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string told = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends[1]);
  Call exec(guest, SessionKind::kExec);
  exec.run({"sh", "-c",
            "exec 9>" + told +
                " 2>/dev/null; trap 'echo hung up >&9; exit' HUP; echo ready; "
                "while :; do sleep 0.01; done"});
  ASSERT_TRUE(exec.until(Type::kStdout));
  exec.hang_up();
  char text[16]{};
  pollfd readable{ends[0], POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, kPatienceMs), 1);
  EXPECT_GT(::read(ends[0], text, sizeof(text) - 1), 0);
  EXPECT_STREQ(text, "hung up\n");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Agent, TheEndOfTheMainCommandEndsTheOthersAndTheyAreToldFirst) {
  Guest guest;
  Call main(guest);
  main.run({"sh", "-c", "read line; exit 4"}, true);
  ASSERT_TRUE(main.until(Type::kStarted));
  Call exec(guest, SessionKind::kExec);
  exec.run({"sleep", "1000"});
  ASSERT_TRUE(exec.until(Type::kStarted));
  main.send(Type::kStdin, "\n");
  EXPECT_EQ(main.end(), "4 ");
  EXPECT_EQ(exec.end(), "137 ");
}

TEST(Agent, RefusesFurtherCommandsBeforeTheFirstAndAboveTheirNumber) {
  Guest guest;
  Call early(guest, SessionKind::kExec);
  EXPECT_THAT(early.refusal(), HasSubstr("no command runs"));
  Call main(guest);
  main.run({"sleep", "1000"});
  ASSERT_TRUE(main.until(Type::kStarted));
  std::list<Call> execs;
  for (size_t i = 0; i < Agent::kMostExecs; ++i) {
    execs.emplace_back(guest, SessionKind::kExec).run({"cat"}, true);
    ASSERT_TRUE(execs.back().until(Type::kStarted));
  }
  Call more(guest, SessionKind::kExec);
  EXPECT_THAT(more.refusal(), HasSubstr("64 further commands already"));
  execs.front().send(Type::kStdinClose);
  EXPECT_EQ(execs.front().end(), "0 ");
  Call again(guest, SessionKind::kExec);
  again.run({"true"});
  EXPECT_EQ(again.end(), "0 ");
}

TEST(Agent, CallersThatSayNothingOrNonsenseHarmNobody) {
  Guest guest;
  std::vector<Descriptor> silent;
  for (size_t i = 0; i < 2 * Agent::kMostCallers; ++i) silent.push_back(guest.connect());
  Descriptor nonsense = guest.connect();
  const std::string bytes(64, '\xff');
  ASSERT_EQ(::send(nonsense.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 64);
  Call call(guest);
  call.run({"sh", "-c", "exit 3"});
  EXPECT_EQ(call.end(), "3 ");
}

TEST(Agent, AnotherVersionIsRefused) {
  Guest guest;
  const Descriptor peer = guest.connect();
  const std::string greeting = encode(Type::kAttach, number_payload(1, number_payload(1)), 1);
  ASSERT_EQ(::send(peer.get(), greeting.data(), greeting.size(), 0),
            static_cast<ssize_t>(greeting.size()));
  FrameParser parser;
  char buffer[512];
  const ssize_t n = ::read(peer.get(), buffer, sizeof(buffer));
  ASSERT_GT(n, 0);
  parser.feed({buffer, static_cast<size_t>(n)});
  const auto frame = parser.next();
  ASSERT_TRUE(frame && frame->type == Type::kRefused);
  EXPECT_THAT(frame->payload, HasSubstr("version"));
}

// What breaks the stream breaks that connection only.
TEST(Agent, AHostThatTalksNonsenseMayComeBack) {
  Guest guest;
  Call call(guest);
  call.run({"sh", "-c", "read line; echo $line; exit 6"}, true);
  ASSERT_TRUE(call.until(Type::kStarted));
  call.say_raw(std::string(64, '\xff'));
  EXPECT_FALSE(call.next());
  call.connect();
  call.send(Type::kStdin, "back\n");
  EXPECT_EQ(call.end(), "6 ");
  EXPECT_EQ(call.out, "back\n");
}

}  // namespace
}  // namespace husk::agent
