// The host's side against agents that keep the protocol and agents that do not, over pairs of
// sockets.
#include "agent/host/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <deque>

namespace husk::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr int kPatienceMs = 20'000;

// The guest's ends of connections, in the order in which they are made.
class Agents {
 public:
  // For the client: waits until there is to be one.
  Result<base::Fd> connect(const base::Fd& giving_up) {
    std::unique_lock lock(mutex_);
    ++asked_;
    changed_.notify_all();
    while (allowed_ == 0) {
      changed_.wait_for(lock, 1ms);
      pollfd stop{giving_up.get(), POLLIN, 0};
      if (refusing_ || ::poll(&stop, 1, 0) != 0)
        return fail(ErrorKind::kNotFound, "agent", "nobody listens");
    }
    --allowed_;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) ::abort();
    made_.emplace_back(ends[1]);
    changed_.notify_all();
    return base::Fd(ends[0]);
  }
  // The next connection.
  base::Fd accept(std::chrono::milliseconds patience = 20s) {
    std::unique_lock lock(mutex_);
    ++allowed_;
    changed_.notify_all();
    if (!changed_.wait_for(lock, patience, [&] { return !made_.empty(); })) return {};
    base::Fd end = std::move(made_.front());
    made_.pop_front();
    return end;
  }
  void refuse() {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int allowed_ = 0, asked_ = 0;
  bool refusing_ = false;
  std::deque<base::Fd> made_;
};

// One connection, as an agent sees it. Sequences are what the test says.
class AgentEnd {
 public:
  explicit AgentEnd(Agents& agents) : socket_(agents.accept()) {}
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void say(Type type, std::string_view payload) { say(encode(type, payload, next_++)); }
  void say_next(uint64_t sequence) { next_ = sequence; }
  void attached(uint64_t wanted) { say(encode(Type::kAttached, {}, wanted)); }
  // The next frame from the host but for acks; nullopt: it hung up, or says nothing for long.
  std::optional<Frame> next(int patience_ms = kPatienceMs) {
    for (;;) {
      if (auto frame = parser_.next()) {
        if (frame->type != Type::kAck) return frame;
        acknowledged = frame->sequence;
        continue;
      }
      pollfd readable{socket_.get(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&readable, 1, patience_ms) <= 0) return std::nullopt;
      const ssize_t n = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
      if (n <= 0) return std::nullopt;
      parser_.feed({buffer, static_cast<size_t>(n)});
    }
  }
  bool quiet() { return !next(50); }
  // The host's greeting, and what it wants.
  uint64_t greeted() {
    const auto frame = next();
    return frame && frame->type == Type::kAttach ? frame->sequence : 0;
  }
  void hang_up() { socket_.reset(); }
  [[nodiscard]] int fd() const { return socket_.get(); }

  uint64_t acknowledged = 0;

 private:
  base::Fd socket_;
  FrameParser parser_;
  uint64_t next_ = 1;
};

RunRequest request(std::vector<std::string> argv) {
  RunRequest made;
  made.argv = std::move(argv);
  return made;
}

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> make(SessionKind kind = SessionKind::kMain, Position position = {}) {
    return std::make_unique<Client>(
        kind, [this](const base::Fd& stop) { return agents.connect(stop); },
        ClientEvents{.out =
                         [this](std::string_view text) {
                           const std::lock_guard lock(mutex);
                           out += text;
                           changed.notify_all();
                         },
                     .err = [this](std::string_view text) { err += text; },
                     .finished = [this] { ++finishes; }},
        std::move(position));
  }
  std::unique_ptr<Client> begin(SessionKind kind = SessionKind::kMain, Position position = {}) {
    auto client = make(kind, std::move(position));
    client->begin();
    return client;
  }
  bool heard(const std::string& text) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 20s, [&] { return out == text; });
  }

  Agents agents;
  std::mutex mutex;
  std::condition_variable changed;
  std::string out, err;
  std::atomic<int> finishes = 0;
};

TEST_F(ClientTest, ConnectsWhenItMayAndThenSaysWhatToRun) {
  const auto client = make();
  RunRequest wanted = request({"/bin/echo", "", "two words"});
  wanted.environment = {"A=1", "B="};
  client->run(wanted);
  EXPECT_EQ(client->send_input(std::as_bytes(std::span("early", 5))), 5u);
  client->close_input();
  EXPECT_EQ(agents.asked(), 0);
  client->begin();
  AgentEnd agent(agents);
  EXPECT_EQ(agent.greeted(), 1u);
  const auto run = agent.next(), input = agent.next(), end = agent.next();
  ASSERT_TRUE(run && input && end) << "without waiting for an answer";
  EXPECT_EQ(run->type, Type::kRun);
  EXPECT_EQ(run->sequence, 1u);
  const auto got = decode_run(run->payload);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->argv, wanted.argv);
  EXPECT_EQ(input->payload, "early");
  EXPECT_EQ(end->type, Type::kStdinClose);
  EXPECT_EQ(end->sequence, 3u);
}

TEST_F(ClientTest, OutputComesBeforeTheEndWhichIsAcknowledged) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.attached(1);
  agent.say(Type::kStarted, number_payload(42));
  agent.say(Type::kStdout, "one ");
  agent.say(Type::kStderr, "wrong");
  agent.say(Type::kStdout, "two");
  agent.say(Type::kExited, number_payload(0xffffff03, "why"));
  const RunResult result = client->wait();
  EXPECT_TRUE(client->started());
  EXPECT_EQ(out, "one two");
  EXPECT_EQ(err, "wrong");
  EXPECT_TRUE(result.finished);
  EXPECT_FALSE(result.failed);
  EXPECT_EQ(result.code, 3) << "a byte";
  EXPECT_EQ(result.reason, "why");
  EXPECT_EQ(finishes, 1);
  agent.greeted();
  EXPECT_FALSE(agent.next()) << "hung up";
  EXPECT_EQ(agent.acknowledged, 6u);
}

TEST_F(ClientTest, FramesMayComeByteByByte) {
  const auto client = begin();
  AgentEnd agent(agents);
  const std::string bytes = encode(Type::kAttached, {}, 1) + encode(Type::kStdout, "slow", 1) +
                            encode(Type::kExited, number_payload(0), 2);
  for (const char c : bytes) agent.say({&c, 1});
  EXPECT_TRUE(client->wait().finished);
  EXPECT_EQ(out, "slow");
}

TEST_F(ClientTest, AFailureOrARefusalKeepsItsReason) {
  for (const Type type : {Type::kFailed, Type::kRefused}) {
    const auto client = begin();
    AgentEnd agent(agents);
    agent.say(type, "no root");
    const RunResult result = client->wait();
    EXPECT_TRUE(result.finished && result.failed);
    EXPECT_EQ(result.reason, "no root");
  }
}

TEST_F(ClientTest, GoesOnWhereALostConnectionWasCut) {
  const auto client = begin();
  client->run(request({"cat"}));
  std::string expected;
  uint64_t next = 1;
  for (int round = 0; round < 20; ++round) {
    AgentEnd agent(agents);
    ASSERT_EQ(agent.greeted(), next);
    agent.attached(round == 0 ? 1 : 2);
    agent.say_next(next);
    for (int i = 0; i < 3; ++i) {
      const std::string text = std::to_string(next++) + " ";
      expected += text;
      agent.say(Type::kStdout, text);
    }
    ASSERT_TRUE(heard(expected));
    if (round == 0) {
      ASSERT_EQ(agent.next()->type, Type::kRun);
    }
    // Half of a frame, which must be said again.
    agent.say(encode(Type::kStdout, "lost", next).substr(0, 18));
  }
  AgentEnd agent(agents);
  ASSERT_EQ(agent.greeted(), next);
  agent.attached(2);
  EXPECT_TRUE(agent.quiet()) << "the agent had the request";
  agent.say_next(next);
  agent.say(Type::kExited, number_payload(7));
  EXPECT_EQ(client->wait().code, 7);
  EXPECT_EQ(out, expected);
}

TEST_F(ClientTest, SaysAgainWhatTheAgentDidNotGetAndOnlyThat) {
  const auto client = begin();
  client->run(request({"cat"}));
  const std::string text = "abcdef";
  for (const char c : text) ASSERT_EQ(client->send_input(std::as_bytes(std::span(&c, 1))), 1u);
  AgentEnd first(agents);
  first.greeted();
  first.attached(1);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(first.next());
  first.hang_up();
  AgentEnd second(agents);
  second.greeted();
  EXPECT_TRUE(second.quiet()) << "not before the agent has told from where";
  second.attached(5);
  for (const char* expected : {"d", "e", "f"}) {
    const auto frame = second.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->type, Type::kStdin);
    EXPECT_EQ(frame->payload, expected);
  }
  EXPECT_TRUE(second.quiet());
}

TEST_F(ClientTest, AnotherClientGoesOnFromAPosition) {
  auto client = begin();
  client->run(request({"cat"}));
  AgentEnd agent(agents);
  agent.greeted();
  agent.attached(1);
  ASSERT_TRUE(agent.next());
  agent.say(encode(Type::kAck, {}, 2));
  agent.say(Type::kStarted, number_payload(42));
  agent.say(Type::kStdout, "before");
  ASSERT_TRUE(heard("before"));
  ASSERT_EQ(client->send_input(std::as_bytes(std::span("typed", 5))), 5u);
  const auto position = decode_position(encode_position(client->leave()));
  ASSERT_TRUE(position);
  agent.say(Type::kStdout, "nobody hears this");
  const auto other = begin(SessionKind::kMain, *position);
  AgentEnd again(agents);
  EXPECT_EQ(again.greeted(), 3u);
  EXPECT_TRUE(again.quiet());
  EXPECT_TRUE(other->started());
  again.attached(2);
  const auto typed = again.next();
  ASSERT_TRUE(typed);
  EXPECT_EQ(typed->payload, "typed");
  again.say_next(3);
  again.say(Type::kStdout, " after");
  again.say(Type::kExited, number_payload(0));
  EXPECT_TRUE(other->wait().finished);
  EXPECT_EQ(out, "before after");
  const std::string much(kStdinWindow, 'i');
  EXPECT_EQ(other->send_input(std::as_bytes(std::span(much))), kStdinWindow - 5);
}

TEST(Position, IsRefusedWhenItIsNone) {
  Position position;
  position.credit = 7;
  position.link.wanted = 9;
  const std::string bytes = encode_position(position);
  const auto decoded = decode_position(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->credit, 7u);
  EXPECT_EQ(decoded->link.wanted, 9u);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_position(bytes.substr(0, size))) << size;
  position.credit = kStdinWindow + 1;
  EXPECT_FALSE(decode_position(encode_position(position)));
}

TEST_F(ClientTest, AFurtherCommandEndsWithItsConnection) {
  const auto client = begin(SessionKind::kExec);
  {
    AgentEnd agent(agents);
    agent.attached(1);
    agent.say(Type::kStdout, "half");
  }
  const RunResult result = client->wait();
  EXPECT_FALSE(result.finished);
  EXPECT_THAT(result.reason, HasSubstr("lost"));
  EXPECT_EQ(out, "half");
  EXPECT_EQ(finishes, 1);
  EXPECT_EQ(agents.asked(), 1);
}

TEST_F(ClientTest, WhoCannotBeReachedIsGivenUp) {
  const auto client = begin();
  agents.refuse();
  const RunResult result = client->wait();
  EXPECT_FALSE(result.finished);
  EXPECT_THAT(result.reason, HasSubstr("nobody listens"));
}

TEST_F(ClientTest, AnAgentThatTakesConnectionsAndSaysNothingIsGivenUp) {
  const auto client = begin();
  std::thread agent([&] {
    while (client->result().reason.empty()) (void)agents.accept(50ms);
  });
  EXPECT_THAT(client->wait().reason, HasSubstr("lost"));
  agent.join();
  EXPECT_LE(agents.asked(), 20);
}

TEST_F(ClientTest, InputStopsAtTheCreditAndGoesOnWithMore) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.greeted();
  const std::string much(kStdinWindow + 100, 'i');
  const auto all = std::as_bytes(std::span(much));
  size_t sent = 0;
  while (const size_t n = client->send_input(all.subspan(sent))) sent += n;
  EXPECT_EQ(sent, kStdinWindow);
  agent.say(Type::kCredit, number_payload(10));
  for (int i = 0; i < kPatienceMs && sent == kStdinWindow; ++i) {
    sent += client->send_input(all.subspan(sent));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(sent, kStdinWindow + 10);
}

TEST_F(ClientTest, AGuestCannotMakeCreditUp) {
  const auto client = begin();
  AgentEnd agent(agents);
  for (int i = 0; i < 10; ++i) agent.say(Type::kCredit, number_payload(0xffffffff));
  agent.say(Type::kExited, number_payload(0));
  EXPECT_TRUE(client->wait().finished);
  const std::string much(3 * kStdinWindow, 'i');
  size_t sent = 0;
  while (const size_t n = client->send_input(std::as_bytes(std::span(much)).subspan(sent)))
    sent += n;
  EXPECT_EQ(sent, kStdinWindow);
}

// One that credits and never acknowledges makes the host keep everything: it has an end.
TEST_F(ClientTest, WhatIsKeptForAnAgentThatAcknowledgesNothingIsBounded) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.greeted();
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    while (!stop) {
      if (!agent.next(10)) continue;
      agent.say(Type::kCredit, number_payload(kStdinWindow));
    }
  });
  const std::string piece(kStdinWindow, 'i');
  size_t sent = 0;
  for (int idle = 0; idle < 300;) {
    const size_t n = client->send_input(std::as_bytes(std::span(piece)));
    sent += n;
    idle = n == 0 ? idle + 1 : 0;
    if (n == 0) std::this_thread::sleep_for(1ms);
    ASSERT_LT(sent, size_t{16} << 20);
  }
  client->send_signal(15);
  EXPECT_LE(client->position().link.kept.size(), sent);
  stop = true;
  reader.join();
  EXPECT_LT(sent, size_t{4} << 20);
}

TEST_F(ClientTest, SignalsSizesAndTheEndOfInputArriveInOrder) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.greeted();
  client->send_window_size(24, 80);
  client->send_signal(2);
  client->close_input();
  const auto size = agent.next();
  ASSERT_TRUE(size);
  EXPECT_EQ(size->type, Type::kWindowSize);
  const auto rows = decode_number(size->payload);
  EXPECT_EQ(rows->number, 24u);
  EXPECT_EQ(decode_number(rows->text)->number, 80u);
  EXPECT_EQ(agent.next()->type, Type::kSignal);
  EXPECT_EQ(agent.next()->type, Type::kStdinClose);
}

TEST_F(ClientTest, OutOfSequenceGarbageAndEndlessFramesEndTheConversationForGood) {
  const std::string breaches[] = {
      std::string(kHeaderSize, '\xff'),
      encode(Type::kStdout, "repeated", 1),
      encode(Type::kStdout, "skipped", 3),
      encode(Type::kStdout, "unnumbered", 0),
      encode(Type::kStdout, std::string(kMaxPayload + 1, 'x'), 2),
      encode(Type::kAck, {}, 99),
      encode(Type::kAttached, {}, 99),
  };
  for (const std::string& breach : breaches) {
    out.clear();
    const auto client = begin();
    AgentEnd agent(agents);
    agent.say(Type::kStdout, "before");
    agent.say(breach + encode(Type::kStdout, "after", 2) +
              encode(Type::kExited, number_payload(0), 3));
    const RunResult result = client->wait();
    EXPECT_FALSE(result.finished);
    EXPECT_THAT(result.reason, HasSubstr("protocol"));
    EXPECT_EQ(out, "before");
  }
  EXPECT_EQ(agents.asked(), static_cast<int>(std::size(breaches)));
}

TEST_F(ClientTest, FramesOfNoKnownTypeOrTooShortAreNothing) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.say(static_cast<Type>(99), "what?");
  agent.say(Type::kExited, "x");
  agent.say(Type::kCredit, "");
  agent.say(Type::kRun, std::string(kMaxRunPayload, 'r'));
  agent.say(Type::kSignal, number_payload(9));
  agent.say(Type::kExited, number_payload(5));
  EXPECT_EQ(client->wait().code, 5);
  EXPECT_EQ(out + err, "");
}

TEST_F(ClientTest, TheEndIsSaidOnceAndStays) {
  const auto client = begin();
  AgentEnd agent(agents);
  agent.say(encode(Type::kExited, number_payload(3, "first"), 1) +
            encode(Type::kStdout, "late", 2) + encode(Type::kExited, number_payload(4), 3));
  const RunResult result = client->wait();
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.reason, "first");
  EXPECT_EQ(finishes, 1);
  EXPECT_EQ(out, "");
}

TEST_F(ClientTest, DrainingWaitsForAllThatHasCome) {
  const auto client = begin();
  AgentEnd agent(agents);
  const std::string piece(1000, 'o');
  for (int i = 0; i < 50; ++i) agent.say(Type::kStdout, piece);
  client->drain();
  EXPECT_EQ(out.size(), 50 * piece.size());
  EXPECT_FALSE(client->result().finished);
  EXPECT_EQ(client->result().reason, "") << "nobody wants to know";
}

TEST_F(ClientTest, DrainingAClientThatWaitsForAConnectionEndsIt) {
  const auto waiting = make();
  waiting->drain();
  const auto connecting = begin();
  for (int i = 0; i < kPatienceMs && agents.asked() == 0; ++i) std::this_thread::sleep_for(1ms);
  connecting->drain();
  EXPECT_EQ(connecting->result().reason, "");
}

// A consumer that takes nothing stops the guest; it may still be signalled, and nothing is lost.
TEST_F(ClientTest, AGuestFarAheadWaits) {
  std::atomic<bool> open = false;
  std::atomic<size_t> seen = 0;
  Client client(SessionKind::kMain, [this](const base::Fd& stop) { return agents.connect(stop); },
                {.out =
                     [&](std::string_view text) {
                       while (!open) std::this_thread::sleep_for(1ms);
                       seen += text.size();
                     },
                 .err = {}});
  client.begin();
  AgentEnd agent(agents);
  agent.greeted();
  constexpr size_t kPieces = 256;  // 16 MiB
  std::atomic<size_t> written = 0;
  std::thread guest([&] {
    const std::string piece(kMaxPayload, 'o');
    for (size_t i = 0; i < kPieces; ++i) {
      agent.say(Type::kStdout, piece);
      ++written;
    }
    agent.say(Type::kExited, number_payload(0));
  });
  size_t before = 0;
  do {
    before = written;
    std::this_thread::sleep_for(200ms);
  } while (before != written || before == 0);
  EXPECT_LT(before, kPieces / 4) << "the host would hold what a guest chooses";
  client.send_signal(2);
  const auto signal = agent.next();
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->type, Type::kSignal);
  open = true;
  guest.join();
  EXPECT_TRUE(client.wait().finished);
  EXPECT_EQ(seen, kPieces * kMaxPayload);
}

TEST_F(ClientTest, AcknowledgesNothingBeforeItIsDelivered) {
  std::atomic<bool> open = false;
  Client client(SessionKind::kMain, [this](const base::Fd& stop) { return agents.connect(stop); },
                {.out =
                     [&](std::string_view) {
                       while (!open) std::this_thread::sleep_for(1ms);
                     },
                 .err = {}});
  client.begin();
  AgentEnd agent(agents);
  agent.greeted();
  agent.say(Type::kStdout, std::string(Link::kAckEvery, 'o'));
  EXPECT_TRUE(agent.quiet());
  EXPECT_EQ(agent.acknowledged, 0u);
  open = true;
  EXPECT_TRUE(agent.quiet());
  EXPECT_EQ(agent.acknowledged, 2u);
}

TEST_F(ClientTest, GoesWhileTheGuestIsInTheMiddleOfAFrame) {
  auto client = begin();
  AgentEnd agent(agents);
  agent.say(encode(Type::kStdout, "cut off", 1).substr(0, 20));
  client.reset();
  EXPECT_EQ(out, "");
}

TEST_F(ClientTest, GoesWhileTheGuestTakesNothing) {
  auto client = begin();
  AgentEnd agent(agents);
  const int small = 4096;
  ASSERT_EQ(::setsockopt(agent.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
  RunRequest long_one = request({std::string(kMaxRunPayload - 100, 'a')});
  client->run(long_one);
  client->send_signal(15);
  client.reset();
}

}  // namespace
}  // namespace husk::agent
