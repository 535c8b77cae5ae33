#include "api/json.h"

#include <gmock/gmock.h>

namespace husk::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(BoundedJson, RefusesWhatIsNotOneDocument) {
  for (const char* text : {"", "{", "{}x", "1", "\"a\"", "null", "{\"a\":\"\xff\"}", "[1,]"})
    EXPECT_EQ(parse_json(text, "doc").error().kind, ErrorKind::kCorrupt) << text;
  EXPECT_TRUE(parse_json(" {} ", "doc"));
  EXPECT_TRUE(parse_json("[]", "doc"));
}

TEST(BoundedJson, IsBounded) {
  const std::string open(kMaxJsonDepth, '[');
  const std::string close(kMaxJsonDepth, ']');
  EXPECT_TRUE(parse_json(open + close, "doc"));
  EXPECT_EQ(parse_json("[" + open + close + "]", "doc").error().kind, ErrorKind::kLimit);
  EXPECT_TRUE(parse_json("[\"\\\"" + open + open + "\"]", "doc"));  // brackets in a string
  EXPECT_EQ(parse_json(std::string(kMaxJsonBytes + 1, ' '), "doc").error().kind, ErrorKind::kLimit);
}

TEST(BoundedJson, MembersHaveTheTypeThatIsAskedFor) {
  const Json json = *parse_json(R"({"s":"x","n":null,"l":["a","b"],"i":7,"o":{},"neg":-1})", "doc");
  EXPECT_EQ(string_member(json, "s", "doc"), "x");
  EXPECT_EQ(string_member(json, "n", "doc"), "");
  EXPECT_EQ(string_member(json, "absent", "doc"), "");
  EXPECT_THAT(*strings_member(json, "l", "doc"), ElementsAre("a", "b"));
  EXPECT_EQ(size_member(json, "i", "doc"), 7U);
  EXPECT_THAT(string_member(json, "i", "doc").error().message(),
              HasSubstr("doc: i is not a string"));
  EXPECT_FALSE(strings_member(json, "s", "doc"));
  EXPECT_FALSE(size_member(json, "neg", "doc"));
  EXPECT_FALSE(size_member(json, "s", "doc"));
  EXPECT_FALSE(array_member(json, "o", "doc"));
  EXPECT_FALSE(object_member(json, "l", "doc"));
  EXPECT_EQ(member(Json(3), "a"), nullptr);
}

TEST(BoundedJson, StringsHoldNoNul) {
  const Json json = *parse_json(R"({"s":"a\u0000b","l":["\u0000"]})", "doc");
  EXPECT_FALSE(string_member(json, "s", "doc"));
  EXPECT_FALSE(strings_member(json, "l", "doc"));
}

TEST(BoundedJson, ALineIsOneWhateverItHolds) {
  EXPECT_EQ(to_line({{"a", "x\ny"}, {"b", {1, 2}}}), R"({"a":"x\ny","b":[1,2]})");
  EXPECT_EQ(to_line("a\xff"), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace husk::api
