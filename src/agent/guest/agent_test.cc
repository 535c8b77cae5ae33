// A conversation with the agent over a socket, in a process of its own that stands for the guest.
#include "agent/guest/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace husk::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kPatienceMs = 20'000;

std::string no_root(const RunRequest&) { return {}; }
void take_over(const Moment&) {}
std::string bad_root(const RunRequest&) { return "no disk is the root"; }

// The host's side, and the guest's process.
class Guest {
 public:
  explicit Guest(Agent::EnterRoot enter_root = no_root) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) ::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
      Agent(ends[1], enter_root, take_over).run();
      ::_exit(0);
    }
    ::close(ends[1]);
    port_ = ends[0];
  }
  ~Guest() {
    close();
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void close() {
    if (port_ >= 0) ::close(port_);
    port_ = -1;
  }
  void send(const std::string& bytes) const {
    ASSERT_EQ(::write(port_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void run(std::vector<std::string> argv, bool input = false) const {
    RunRequest request;
    request.argv = std::move(argv);
    request.environment = {"PATH=/usr/bin:/bin"};
    request.working_directory = "/";
    request.input = input;
    send(encode(Type::kRun, encode_run(request)));
  }

  // The next frame; nullopt when the agent is gone or says nothing for long.
  std::optional<Frame> next() {
    for (;;) {
      if (auto frame = parser_.next()) return frame;
      pollfd readable{port_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&readable, 1, kPatienceMs) <= 0) return std::nullopt;
      const ssize_t n = ::read(port_, buffer, sizeof(buffer));
      if (n <= 0) return std::nullopt;
      parser_.feed({buffer, static_cast<size_t>(n)});
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
  bool process_ends() const {
    for (int waited = 0; waited < kPatienceMs; waited += 10) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return true;
      ::usleep(10'000);
    }
    return false;
  }

  std::string out, err;

 private:
  pid_t pid_ = -1;
  int port_ = -1;
  FrameParser parser_;
};

TEST(Agent, SaysHelloFirst) {
  Guest guest;
  const auto hello = guest.next();
  ASSERT_TRUE(hello && hello->type == Type::kHello);
  EXPECT_EQ(decode_number(hello->payload)->number, kProtocolVersion);
}

TEST(Agent, KeepsOutputAndErrorsApartAndTellsTheCode) {
  Guest guest;
  guest.run({"sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(guest.end(), "7 ");
  EXPECT_EQ(guest.out, "out\n");
  EXPECT_EQ(guest.err, "err\n");
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, NothingOfALongOutputIsLost) {
  Guest guest;
  guest.run({"sh", "-c", "head -c 3000000 /dev/zero; echo end"});
  EXPECT_EQ(guest.end(), "0 ");
  EXPECT_EQ(guest.out.size(), 3'000'004U);
}

// Sizes around what the port and the agent hold, so that some command ends with a part of its
// output in the pipe, where the agent leaves it until there is room.
TEST(Agent, AHostThatTakesNothingForAWhileLosesNothing) {
  for (size_t size = 300'000; size < 800'000; size += 30'000) {
    Guest guest;
    guest.run({"sh", "-c", "head -c " + std::to_string(size) + " /dev/zero"});
    ::usleep(250'000);
    EXPECT_EQ(guest.end(), "0 ");
    EXPECT_EQ(guest.out.size(), size);
  }
}

TEST(Agent, InputGoesInIsCreditedAndEnds) {
  Guest guest;
  guest.run({"cat"}, true);
  ASSERT_TRUE(guest.until(Type::kStarted));
  guest.send(encode(Type::kStdin, "some "));
  guest.send(encode(Type::kStdin, "words"));
  uint32_t credit = 0;
  while (credit < 10) {
    const auto frame = guest.until(Type::kCredit);
    ASSERT_TRUE(frame);
    credit += decode_number(frame->payload)->number;
  }
  EXPECT_EQ(credit, 10U);
  guest.send(encode(Type::kStdinClose, ""));
  EXPECT_EQ(guest.end(), "0 ");
  EXPECT_EQ(guest.out, "some words");
}

TEST(Agent, InputThatNobodyReadsIsCreditedTooAndHarmsNobody) {
  Guest guest;
  guest.run({"sh", "-c", "exec <&-; read line; sleep 1; exit 3"}, true);
  ASSERT_TRUE(guest.until(Type::kStarted));
  guest.send(encode(Type::kStdin, std::string(5000, 'x')));
  EXPECT_EQ(guest.end(), "3 ");
}

TEST(Agent, ASignalReachesTheCommand) {
  Guest guest;
  guest.run(
      {"sh", "-c", "trap 'echo caught; exit 4' USR1; echo ready; while :; do sleep 0.01; done"});
  ASSERT_TRUE(guest.until(Type::kStdout));
  guest.send(encode_number(Type::kSignal, SIGUSR1));
  EXPECT_EQ(guest.end(), "4 ");
  EXPECT_EQ(guest.out, "ready\ncaught\n");
}

TEST(Agent, ADeadlySignalIsTheCode) {
  Guest guest;
  guest.run({"sleep", "1000"});
  ASSERT_TRUE(guest.until(Type::kStarted));
  guest.send(encode_number(Type::kSignal, SIGTERM));
  EXPECT_EQ(guest.end(), "143 ");
}

TEST(Agent, NamesWhatCannotBeRun) {
  Guest missing;
  missing.run({"no-such-program"});
  EXPECT_THAT(missing.end(), StartsWith("127 "));
  Guest directory;
  directory.run({"/tmp"});
  EXPECT_THAT(directory.end(), StartsWith("126 "));
}

TEST(Agent, ARootThatFailsIsToldAndNothingRuns) {
  Guest guest(bad_root);
  guest.run({"sh", "-c", "echo never"});
  const auto failed = guest.until(Type::kFailed);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->payload, "no disk is the root");
  EXPECT_EQ(guest.out, "");
  EXPECT_TRUE(guest.process_ends());
}

TEST(Agent, ARequestThatCannotBeReadIsRefused) {
  Guest guest;
  guest.send(encode(Type::kRun, "nonsense"));
  const auto failed = guest.until(Type::kFailed);
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->payload, HasSubstr("cannot be read"));
}

TEST(Agent, ASecondRequestIsIgnored) {
  Guest guest;
  guest.run({"sh", "-c", "sleep 0.2; echo first"});
  guest.run({"sh", "-c", "echo second"});
  EXPECT_EQ(guest.end(), "0 ");
  EXPECT_EQ(guest.out, "first\n");
}

TEST(Agent, EndsWhenTheHostIsGoneOrTalksNonsense) {
  Guest gone;
  ASSERT_TRUE(gone.next());
  gone.close();
  EXPECT_TRUE(gone.process_ends());
  Guest nonsense;
  nonsense.send(std::string(64, '\xff'));
  EXPECT_TRUE(nonsense.process_ends());
}

}  // namespace
}  // namespace husk::agent
