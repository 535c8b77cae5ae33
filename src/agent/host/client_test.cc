// The host's side against agents that keep the protocol and agents that do not.
#include "agent/host/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "agent/protocol/message.h"

namespace husk::agent {
namespace {

using namespace std::chrono_literals;

// A port that takes at most `room` bytes at a time and keeps them.
class Port : public contract::ByteInput {
 public:
  size_t push(std::span<const std::byte> data) override {
    const std::lock_guard lock(mutex_);
    const size_t n = std::min(data.size(), room);
    parser_.feed({reinterpret_cast<const char*>(data.data()), n});
    while (auto frame = parser_.next()) frames_.push_back(*frame);
    arrived_.notify_all();
    if (on_push) on_push();
    return n;
  }
  std::function<void()> on_push;
  // The next frame for the guest.
  std::optional<Frame> next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, 5s, [&] { return taken_ < frames_.size(); })) return std::nullopt;
    return frames_[taken_++];
  }
  bool quiet() {
    std::unique_lock lock(mutex_);
    return !arrived_.wait_for(lock, 50ms, [&] { return taken_ < frames_.size(); });
  }
  size_t room = 1 << 20;

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  FrameParser parser_;
  std::vector<Frame> frames_;
  size_t taken_ = 0;
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    client.attach(port);
    client.set_on_finished([this] {
      const std::lock_guard lock(mutex);
      ++finishes;
      changed.notify_all();
    });
  }
  void guest_says(std::string_view bytes) { client.write(std::as_bytes(std::span(bytes))); }
  void hello() { guest_says(encode_number(Type::kHello, kProtocolVersion, "6.1.0-test")); }
  bool finished() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 5s, [&] { return finishes > 0; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  int finishes = 0;
  std::string out, err;
  Port port;
  Client client{[this](std::string_view text) { out += text; },
                [this](std::string_view text) { err += text; }};
};

TEST_F(ClientTest, SaysNothingBeforeHelloAndThenWhatToRun) {
  RunRequest request;
  request.argv = {"/bin/echo", "", "two words"};
  request.environment = {"A=1", "B="};
  request.terminal = true;
  client.run(request);
  EXPECT_TRUE(port.quiet());
  hello();
  const auto frame = port.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, Type::kRun);
  const auto got = decode_run(frame->payload);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->argv, request.argv);
  EXPECT_EQ(got->environment, request.environment);
  EXPECT_TRUE(got->terminal);
  EXPECT_EQ(client.guest_release(), "6.1.0-test");
}

TEST_F(ClientTest, OutputComesBeforeTheEnd) {
  hello();
  guest_says(encode_number(Type::kStarted, 42) + encode(Type::kStdout, "one ") +
             encode(Type::kStderr, "wrong") + encode(Type::kStdout, "two") +
             encode_number(Type::kExited, 7));
  ASSERT_TRUE(finished());
  EXPECT_TRUE(client.started());
  EXPECT_EQ(out, "one two");
  EXPECT_EQ(err, "wrong");
  EXPECT_TRUE(client.result().finished);
  EXPECT_FALSE(client.result().failed);
  EXPECT_EQ(client.result().code, 7);
}

TEST_F(ClientTest, FramesMayComeByteByByte) {
  const std::string bytes = encode_number(Type::kHello, kProtocolVersion, "r") +
                            encode(Type::kStdout, "slow") + encode_number(Type::kExited, 0);
  for (const char c : bytes) guest_says({&c, 1});
  ASSERT_TRUE(finished());
  EXPECT_EQ(out, "slow");
}

TEST_F(ClientTest, AFailureKeepsItsReason) {
  hello();
  guest_says(encode(Type::kFailed, "no root"));
  ASSERT_TRUE(finished());
  EXPECT_TRUE(client.result().failed);
  EXPECT_EQ(client.result().reason, "no root");
}

TEST_F(ClientTest, ExitCodesAreAByte) {
  hello();
  guest_says(encode_number(Type::kExited, 0xffffff03));
  ASSERT_TRUE(finished());
  EXPECT_EQ(client.result().code, 3);
}

TEST_F(ClientTest, InputStopsAtTheCreditAndGoesOnWithMore) {
  hello();
  const std::string much(kStdinWindow + 100, 'i');
  size_t sent = 0;
  while (const size_t n = client.send_input(std::as_bytes(std::span(much)).subspan(sent)))
    sent += n;
  EXPECT_EQ(sent, kStdinWindow);
  size_t arrived = 0;
  while (arrived < sent) {
    const auto frame = port.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->type, Type::kStdin);
    arrived += frame->payload.size();
  }
  guest_says(encode_number(Type::kCredit, 10));
  for (int i = 0; i < 500 && sent == kStdinWindow; ++i) {
    sent += client.send_input(std::as_bytes(std::span(much)).subspan(sent));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(sent, kStdinWindow + 10);
}

TEST_F(ClientTest, AGuestCannotMakeCreditUp) {
  hello();
  for (int i = 0; i < 10; ++i) guest_says(encode_number(Type::kCredit, 0xffffffff));
  guest_says(encode_number(Type::kExited, 0));
  ASSERT_TRUE(finished());
  const std::string much(3 * kStdinWindow, 'i');
  size_t sent = 0;
  while (const size_t n = client.send_input(std::as_bytes(std::span(much)).subspan(sent)))
    sent += n;
  EXPECT_EQ(sent, kStdinWindow);
}

TEST_F(ClientTest, WaitsForAPortThatIsFull) {
  port.room = 3;
  hello();
  client.send_signal(15);
  const auto frame = port.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, Type::kSignal);
  EXPECT_EQ(decode_number(frame->payload)->number, 15u);
}

// The guest may answer before the port has returned, and then says nothing any more.
TEST_F(ClientTest, HearsWhatIsSaidWhileThePortTakesBytes) {
  port.on_push = [this] { guest_says(encode_number(Type::kExited, 9)); };
  hello();
  client.send_signal(15);
  ASSERT_TRUE(finished());
  EXPECT_EQ(client.result().code, 9);
}

// The device's lock is held while the guest writes, and a push waits for that lock.
TEST_F(ClientTest, AFloodDuringAPushLocksNothingUp) {
  std::atomic<bool> flooded = false;
  port.on_push = [&] {
    for (int i = 0; i < 5000 && !flooded; ++i) std::this_thread::sleep_for(1ms);
  };
  hello();
  client.send_signal(15);
  const std::string piece(kMaxPayload, 'o');
  for (int i = 0; i < 400; ++i) guest_says(encode(Type::kStdout, piece));  // 25 MiB
  flooded = true;
  guest_says(encode_number(Type::kExited, 0));
  ASSERT_TRUE(finished());
  EXPECT_EQ(out.size(), 400 * kMaxPayload);
}

TEST_F(ClientTest, DrainingWaitsForTheLastWord) {
  hello();
  for (int i = 0; i < 50; ++i) guest_says(encode(Type::kStdout, std::string(kMaxPayload, 'o')));
  guest_says(encode_number(Type::kExited, 4));
  client.drain();
  EXPECT_TRUE(client.result().finished);
  EXPECT_EQ(out.size(), 50 * kMaxPayload);
}

TEST_F(ClientTest, SignalsSizesAndTheEndOfInputArriveInOrder) {
  hello();
  client.send_window_size(24, 80);
  client.send_signal(2);
  client.close_input();
  const auto size = port.next();
  ASSERT_TRUE(size);
  EXPECT_EQ(size->type, Type::kWindowSize);
  const auto rows = decode_number(size->payload);
  EXPECT_EQ(rows->number, 24u);
  EXPECT_EQ(decode_number(rows->text)->number, 80u);
  EXPECT_EQ(port.next()->type, Type::kSignal);
  EXPECT_EQ(port.next()->type, Type::kStdinClose);
}

TEST_F(ClientTest, GarbageEndsTheConversationNotTheHost) {
  hello();
  guest_says(encode(Type::kStdout, "before"));
  guest_says(std::string(8, '\xff'));
  guest_says(encode(Type::kStdout, "after") + encode_number(Type::kExited, 0));
  EXPECT_FALSE([&] {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 50ms, [&] { return finishes > 0; });
  }());
  EXPECT_FALSE(client.result().finished);
}

TEST_F(ClientTest, FramesOfNoKnownTypeOrTooShortAreNothing) {
  hello();
  guest_says(encode(static_cast<Type>(99), "what?") + encode(Type::kExited, "x") +
             encode(Type::kCredit, "") + encode(Type::kHello, "") +
             encode_number(Type::kExited, 5));
  ASSERT_TRUE(finished());
  EXPECT_EQ(client.result().code, 5);
}

TEST_F(ClientTest, TheEndIsSaidOnceAndStays) {
  hello();
  guest_says(encode_number(Type::kExited, 3, "first") + encode(Type::kStdout, "late") +
             encode(Type::kFailed, "second") + encode_number(Type::kExited, 4));
  ASSERT_TRUE(finished());
  std::this_thread::sleep_for(20ms);  // for what must not happen
  const RunResult result = client.result();
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.reason, "first");
  EXPECT_FALSE(result.failed);
  EXPECT_EQ(finishes, 1);
  EXPECT_EQ(out, "");
}

TEST_F(ClientTest, AnEmptyReasonAndALongOneAreBothKept) {
  hello();
  const std::string reason(kMaxPayload - 4, 'r');
  guest_says(encode_number(Type::kExited, 127, reason));
  ASSERT_TRUE(finished());
  EXPECT_EQ(client.result().code, 127);
  EXPECT_EQ(client.result().reason, reason);
}

// Docker's codes for a command that cannot be executed, is not found, or died of a signal.
TEST_F(ClientTest, CodesOfTheAgentComeThroughUnchanged) {
  for (const uint32_t code : {0u, 1u, 126u, 127u, 128u + 9, 128u + 15, 255u}) {
    std::atomic<bool> ended = false;
    Client one([](std::string_view) {}, [](std::string_view) {});
    one.set_on_finished([&] { ended = true; });
    const std::string bytes = encode_number(Type::kExited, code);
    one.write(std::as_bytes(std::span(bytes)));
    for (int i = 0; i < 5000 && !ended; ++i) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(one.result().finished);
    EXPECT_EQ(one.result().code, static_cast<int>(code));
  }
}

TEST_F(ClientTest, TheFirstHelloCounts) {
  RunRequest request;
  request.argv = {"true"};
  client.run(request);
  hello();
  hello();
  guest_says(encode_number(Type::kHello, 99, "another"));
  ASSERT_TRUE(port.next());
  EXPECT_TRUE(port.quiet()) << "the request goes out once";
  EXPECT_EQ(client.guest_release(), "6.1.0-test");
}

TEST_F(ClientTest, WhatIsSentBeforeHelloFollowsTheRequestInOrder) {
  RunRequest request;
  request.argv = {"cat"};
  client.run(request);
  const std::string text = "typed early";
  EXPECT_EQ(client.send_input(std::as_bytes(std::span(text))), text.size());
  client.close_input();
  EXPECT_TRUE(port.quiet());
  hello();
  const auto run = port.next(), input = port.next(), end = port.next();
  ASSERT_TRUE(run && input && end);
  EXPECT_EQ(run->type, Type::kRun);
  EXPECT_EQ(input->type, Type::kStdin);
  EXPECT_EQ(input->payload, text);
  EXPECT_EQ(end->type, Type::kStdinClose);
}

// Frames that only the host may send, and a run request longer than any data.
TEST_F(ClientTest, TheHostsOwnFramesFromAGuestDoNothing) {
  hello();
  guest_says(encode(Type::kRun, std::string(kMaxRunPayload, 'r')) + encode(Type::kStdin, "in") +
             encode(Type::kStdinClose, {}) + encode_number(Type::kSignal, 9) +
             encode_number(Type::kWindowSize, 1) + encode_number(Type::kExited, 6));
  ASSERT_TRUE(finished());
  EXPECT_EQ(client.result().code, 6);
  EXPECT_EQ(out + err, "");
  EXPECT_TRUE(port.quiet());
}

TEST_F(ClientTest, AFrameLongerThanAllowedEndsTheConversation) {
  hello();
  guest_says(encode(Type::kStdout, std::string(kMaxPayload + 1, 'x')));
  guest_says(encode_number(Type::kExited, 0));
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(client.result().finished);
  EXPECT_EQ(out, "");
}

// A consumer that takes nothing stops the guest, and nothing is lost when it goes on.
TEST(ClientPressure, AGuestFarAheadWaits) {
  std::atomic<bool> open = false;
  std::atomic<size_t> written = 0, seen = 0;
  Client client(
      [&](std::string_view text) {
        while (!open) std::this_thread::sleep_for(1ms);
        seen += text.size();
      },
      [](std::string_view) {});
  constexpr size_t kPieces = 1024;  // 64 MiB
  std::thread guest([&] {
    const std::string frame = encode(Type::kStdout, std::string(kMaxPayload, 'o'));
    for (size_t i = 0; i < kPieces; ++i) {
      client.write(std::as_bytes(std::span(frame)));
      ++written;
    }
  });
  constexpr size_t kSurelyTaken = 64;  // 4 MiB
  size_t before = 0;
  while (before < kSurelyTaken || before != written) {
    before = written;
    std::this_thread::sleep_for(200ms);
  }
  EXPECT_LT(before, kPieces / 2) << "the host would hold what a guest chooses";
  open = true;
  guest.join();
  for (int i = 0; i < 5000 && seen < kPieces * kMaxPayload; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(seen, kPieces * kMaxPayload);
}

TEST(ClientPressure, AWaitingGuestIsLetGoWhenTheClientEnds) {
  std::atomic<bool> open = false;
  auto client = std::make_unique<Client>(
      [&](std::string_view) {
        while (!open) std::this_thread::sleep_for(1ms);
      },
      [](std::string_view) {});
  const std::string frame = encode(Type::kStdout, std::string(kMaxPayload, 'o'));
  for (int i = 0; i < 100; ++i) client->write(std::as_bytes(std::span(frame)));
  std::thread opener([&] {
    std::this_thread::sleep_for(20ms);
    open = true;
  });
  client.reset();
  opener.join();
}

TEST_F(ClientTest, MuchOutputAtOnceIsTakenInPieces) {
  hello();
  const std::string piece(kMaxPayload, 'o');
  for (int i = 0; i < 300; ++i) guest_says(encode(Type::kStdout, piece));
  guest_says(encode_number(Type::kExited, 0));
  ASSERT_TRUE(finished());
  EXPECT_EQ(out.size(), 300 * kMaxPayload);
}

TEST(ClientEnd, GoesWhileTheGuestIsInTheMiddleOfAFrame) {
  Port port;
  auto client = std::make_unique<Client>([](std::string_view) {}, [](std::string_view) {});
  client->attach(port);
  const std::string half = encode(Type::kStdout, "cut off").substr(0, 10);
  client->write(std::as_bytes(std::span(half)));
  client.reset();
}

TEST(RestoredClient, ARequestFromBeforeThePortIsSentToAnAgentThatHasSaidHello) {
  Port port;
  Client client([](std::string_view) {}, [](std::string_view) {});
  client.assume_hello();
  RunRequest request;
  request.argv = {"true"};
  client.run(request);
  std::this_thread::sleep_for(20ms);  // the sender waits for a port by then
  client.attach(port);
  const auto frame = port.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, Type::kRun);
}

TEST(RestoredClient, WaitsForAHelloAndNoLonger) {
  Client client([](std::string_view) {}, [](std::string_view) {});
  EXPECT_FALSE(client.wait_for_hello(1'000'000));
  const std::string hello = encode_number(Type::kHello, kProtocolVersion, "6.1");
  client.write(std::as_bytes(std::span(hello)));
  EXPECT_TRUE(client.wait_for_hello(5'000'000'000));
}

constexpr uint64_t kLong = 5'000'000'000;

TEST_F(ClientTest, ACopyGoesOnInTheMiddleOfAFrameAndWithWhatWasNotSent) {
  hello();
  const std::string later = encode(Type::kStdout, "second");
  guest_says(encode_number(Type::kStarted, 1) + encode(Type::kStdout, "first ") +
             later.substr(0, 10));
  const std::string input(100, 'i');
  ASSERT_EQ(client.send_input(std::as_bytes(std::span(input))), input.size());
  ASSERT_EQ(port.next()->type, Type::kStdin);
  port.room = 0;
  client.send_signal(15);
  const auto position = client.position(kLong, [] { return Result<void>(); });
  ASSERT_TRUE(position) << position.error().message();
  EXPECT_EQ(out, "first ");

  std::string copied;
  Port port_of_copy;
  Client copy([&](std::string_view text) { copied += text; }, [](std::string_view) {});
  copy.attach(port_of_copy);
  ASSERT_TRUE(copy.go_on(*position, {42, "entropy", "other"}));
  EXPECT_EQ(port_of_copy.next()->type, Type::kSignal);
  const auto frame = port_of_copy.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, Type::kResumed);
  EXPECT_EQ(decode_moment(frame->payload)->realtime_ns, 42U);
  EXPECT_TRUE(copy.started());
  const std::string rest = later.substr(10) + encode_number(Type::kExited, 3);
  copy.write(std::as_bytes(std::span(rest)));
  copy.drain();
  EXPECT_EQ(copied, "second");
  EXPECT_EQ(copy.result().code, 3);
  EXPECT_EQ(copy.send_input(std::as_bytes(std::span(std::string(kStdinWindow, 'i')))),
            kStdinWindow - input.size());
}

TEST_F(ClientTest, SendsNothingWhileItsPositionIsTaken) {
  hello();
  guest_says(encode_number(Type::kStarted, 1));
  std::thread sender;
  const auto position = client.position(kLong, [&]() -> Result<void> {
    sender = std::thread([this] { client.send_signal(15); });
    EXPECT_TRUE(port.quiet());
    return {};
  });
  sender.join();
  ASSERT_TRUE(position);
  EXPECT_EQ(port.next()->type, Type::kSignal);
  Port port_of_copy;
  Client copy([](std::string_view) {}, [](std::string_view) {});
  copy.attach(port_of_copy);
  ASSERT_TRUE(copy.go_on(*position, {}));
  EXPECT_EQ(port_of_copy.next()->type, Type::kResumed) << "the signal came later";
}

TEST_F(ClientTest, HasNoPositionWithoutACommandThatRuns) {
  const auto nothing = [] { return Result<void>(); };
  hello();
  EXPECT_FALSE(client.position(kLong, nothing));
  guest_says(encode_number(Type::kStarted, 1) + encode_number(Type::kExited, 0));
  ASSERT_TRUE(finished());
  EXPECT_FALSE(client.position(kLong, nothing));
}

TEST(RestoredClient, RefusesAPositionThatIsNone) {
  Client client([](std::string_view) {}, [](std::string_view) {});
  const std::string text = "no position at all";
  EXPECT_FALSE(client.go_on(std::as_bytes(std::span(text)), {}));
}

}  // namespace
}  // namespace husk::agent
