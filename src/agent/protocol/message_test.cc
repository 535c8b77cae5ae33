#include "agent/protocol/message.h"

#include <gtest/gtest.h>

namespace husk::agent {
namespace {

TEST(Frame, ComesBackWholeHoweverItIsCut) {
  const std::string wire = encode(Type::kStdout, "hello") + encode_number(Type::kExited, 7, "why");
  FrameParser parser;
  std::vector<Frame> frames;
  for (const char c : wire) {
    parser.feed({&c, 1});
    while (auto frame = parser.next()) frames.push_back(*frame);
  }
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, Type::kStdout);
  EXPECT_EQ(frames[0].payload, "hello");
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

TEST(Run, RoundTripsAndRefusesEveryTruncation) {
  RunRequest request;
  request.argv = {"sh", "-c", "exit 7"};
  request.environment = {"A=1", ""};
  request.working_directory = "/tmp";
  request.user = "1000:100";
  request.hostname = "box";
  request.terminal = true;
  request.rows = 24;
  request.columns = 80;
  const std::string payload = encode_run(request);
  const auto decoded = decode_run(payload);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->argv, request.argv);
  EXPECT_EQ(decoded->environment, request.environment);
  EXPECT_EQ(decoded->user, request.user);
  EXPECT_TRUE(decoded->terminal);
  EXPECT_FALSE(decoded->input);
  EXPECT_EQ(decoded->columns, 80u);
  for (size_t size = 0; size < payload.size(); ++size)
    EXPECT_FALSE(decode_run(payload.substr(0, size))) << size;
  EXPECT_FALSE(decode_run(payload + "x"));
}

}  // namespace
}  // namespace husk::agent
