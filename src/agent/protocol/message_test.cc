#include "agent/protocol/message.h"

#include <gtest/gtest.h>

namespace husk::agent {
namespace {

TEST(Frame, ComesBackWholeHoweverItIsCut) {
  const std::string wire =
      encode(Type::kStdout, "hello", 5) + encode(Type::kExited, number_payload(7, "why"), ~0ULL);
  FrameParser parser;
  std::vector<Frame> frames;
  for (const char c : wire) {
    parser.feed({&c, 1});
    while (auto frame = parser.next()) frames.push_back(*frame);
  }
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, Type::kStdout);
  EXPECT_EQ(frames[0].payload, "hello");
  EXPECT_EQ(frames[0].sequence, 5u);
  EXPECT_EQ(frames[1].sequence, ~0ULL);
  const auto exited = decode_number(frames[1].payload);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->number, 7u);
  EXPECT_EQ(exited->text, "why");
}

TEST(Frame, RefusesWhatIsTooLongOrHasRubbishInItsHeader) {
  std::string wire = encode(Type::kStdout, "x");
  wire[2] = 0x7f;
  FrameParser too_long;
  too_long.feed(wire);
  EXPECT_FALSE(too_long.next());
  EXPECT_TRUE(too_long.broken());
  wire = encode(Type::kStdout, "x");
  wire[6] = 1;
  FrameParser rubbish;
  rubbish.feed(wire);
  EXPECT_FALSE(rubbish.next());
  EXPECT_TRUE(rubbish.broken());
}

TEST(Frame, MayBeAsLongAsItsTypeAllowsAndNoLonger) {
  const auto accepted = [](Type type, size_t size) {
    FrameParser parser;
    parser.feed(encode(type, std::string(size, 'x')));
    const auto frame = parser.next();
    return frame && frame->payload.size() == size && !parser.broken();
  };
  EXPECT_TRUE(accepted(Type::kStdout, 0));
  EXPECT_TRUE(accepted(Type::kStdout, kMaxPayload));
  EXPECT_FALSE(accepted(Type::kStdout, kMaxPayload + 1));
  EXPECT_TRUE(accepted(Type::kRun, kMaxRunPayload));
  EXPECT_FALSE(accepted(Type::kRun, kMaxRunPayload + 1));
}

// The announced size is refused before a byte of it is waited for.
TEST(Frame, IsRefusedByItsHeaderAlone) {
  std::string header = encode(Type::kStdout, {});
  header[3] = '\x80';
  FrameParser parser;
  parser.feed(header);
  EXPECT_FALSE(parser.next());
  EXPECT_TRUE(parser.broken());
}

TEST(Frame, EveryPaddingByteIsChecked) {
  for (const size_t at : {5, 6, 7}) {
    std::string wire = encode(Type::kStdout, "x");
    wire[at] = 1;
    FrameParser parser;
    parser.feed(wire);
    EXPECT_FALSE(parser.next()) << at;
    EXPECT_TRUE(parser.broken()) << at;
  }
}

TEST(Frame, NothingComesOrIsKeptOnceTheStreamIsBroken) {
  FrameParser parser;
  parser.feed(encode(Type::kStdout, "good") + std::string(kHeaderSize, '\xff') +
              encode(Type::kStdout, "bad"));
  const auto good = parser.next();
  ASSERT_TRUE(good);
  EXPECT_EQ(good->payload, "good");
  EXPECT_FALSE(parser.next());
  ASSERT_TRUE(parser.broken());
  EXPECT_EQ(parser.held(), 0u);
  parser.feed(encode(Type::kStdout, std::string(kMaxPayload, 'x')));
  EXPECT_FALSE(parser.next());
  EXPECT_EQ(parser.held(), 0u);
}

TEST(Frame, OnlyWhatIsMissingItsRestIsHeld) {
  FrameParser parser;
  parser.feed(encode(Type::kStdout, "one") +
              encode(Type::kStderr, "two").substr(0, kHeaderSize + 1));
  ASSERT_TRUE(parser.next());
  EXPECT_EQ(parser.held(), kHeaderSize + 1);
  EXPECT_FALSE(parser.next());
  parser.feed(std::string("wo"));
  const auto second = parser.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->type, Type::kStderr);
  EXPECT_EQ(second->payload, "two");
  EXPECT_EQ(parser.held(), 0u);
}

// A cost per frame that grows with what waits behind it would make this take minutes.
TEST(Frame, ManySmallOnesAtOnceAreCutInLinearTime) {
  constexpr size_t kFrames = size_t{1} << 20;
  const std::string one = encode(Type::kStdout, {});
  std::string wire;
  for (size_t i = 0; i < kFrames; ++i) wire += one;
  FrameParser parser;
  parser.feed(wire);
  size_t frames = 0;
  while (parser.next()) ++frames;
  EXPECT_EQ(frames, kFrames);
}

TEST(Number, NeedsFourBytesAndLeavesTheRest) {
  EXPECT_FALSE(decode_number(""));
  EXPECT_FALSE(decode_number("abc"));
  const auto number = decode_number(std::string_view("\x01\x02\x03\xf4rest", 8));
  ASSERT_TRUE(number);
  EXPECT_EQ(number->number, 0xf4030201u);
  EXPECT_EQ(number->text, "rest");
}

TEST(Run, RoundTripsAndRefusesEveryTruncation) {
  RunRequest request;
  request.argv = {"sh", "-c", "exit 7"};
  request.environment = {"A=1", ""};
  request.working_directory = "/tmp";
  request.user = "1000:100";
  request.hostname = "box";
  request.machine_id = "0123456789abcdef0123456789abcdef";
  request.terminal = true;
  request.rows = 24;
  request.columns = 80;
  request.realtime_ns = 0x1234567890abcdef;
  request.entropy = std::string("\0\1\2", 3);
  const std::string payload = encode_run(request);
  const auto decoded = decode_run(payload);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->argv, request.argv);
  EXPECT_EQ(decoded->environment, request.environment);
  EXPECT_EQ(decoded->user, request.user);
  EXPECT_EQ(decoded->hostname, request.hostname);
  EXPECT_EQ(decoded->machine_id, request.machine_id);
  EXPECT_TRUE(decoded->terminal);
  EXPECT_FALSE(decoded->input);
  EXPECT_EQ(decoded->columns, 80u);
  for (size_t size = 0; size < payload.size(); ++size)
    EXPECT_FALSE(decode_run(payload.substr(0, size))) << size;
  EXPECT_FALSE(decode_run(payload + "x"));
}

TEST(Run, WithoutACommandOnlyReadiesTheGuest) {
  RunRequest request;
  request.environment = {"A=1"};
  const auto decoded = decode_run(encode_run(request));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->argv.empty());
  EXPECT_EQ(decoded->environment, request.environment);
}

// Counts and sizes that promise more than is there must not be believed.
TEST(Run, PromisedListsAndTextsThatAreNotThereAreRefused) {
  EXPECT_FALSE(decode_run(std::string(4, '\xff')));
  EXPECT_FALSE(decode_run(std::string("\1\0\0\0\xff\xff\xff\xffsh", 10)));
  EXPECT_FALSE(decode_run(std::string(4, '\xff') + std::string(4096, '\0')));
}

TEST(Run, TextsMayHoldAnyBytes) {
  RunRequest request;
  request.argv = {std::string("a\0b", 3), "", "\xff\n"};
  request.input = true;
  const auto decoded = decode_run(encode_run(request));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->argv, request.argv);
  EXPECT_TRUE(decoded->input);
  EXPECT_FALSE(decoded->terminal);
}

TEST(Moment, RoundTripsAndRefusesEveryTruncation) {
  const Moment moment{0x0123'4567'89ab'cdef, std::string("\0\1\2", 3), "other", "an id"};
  const std::string payload = encode_moment(moment);
  const auto got = decode_moment(payload);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->realtime_ns, moment.realtime_ns);
  EXPECT_EQ(got->entropy, moment.entropy);
  EXPECT_EQ(got->hostname, moment.hostname);
  EXPECT_EQ(got->machine_id, moment.machine_id);
  for (size_t length = 0; length < payload.size(); ++length)
    EXPECT_FALSE(decode_moment(payload.substr(0, length))) << length;
  EXPECT_FALSE(decode_moment(payload + "x"));
}

}  // namespace
}  // namespace husk::agent
