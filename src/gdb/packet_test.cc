#include "gdb/packet.h"

#include <gmock/gmock.h>

#include <vector>

namespace husk::gdb {
namespace {

using Kind = Received::Kind;

std::vector<Received> parse(PacketParser& parser, std::string_view bytes) {
  std::vector<Received> all;
  for (const char byte : bytes)
    if (auto received = parser.take(byte)) all.push_back(*received);
  return all;
}

std::vector<Received> parse(std::string_view bytes) {
  PacketParser parser;
  return parse(parser, bytes);
}

Received only(std::string_view bytes) {
  const auto all = parse(bytes);
  EXPECT_EQ(all.size(), 1U) << bytes;
  return all.empty() ? Received{Kind::kNak} : all.front();
}

TEST(Packet, HasTheManualsForm) {
  EXPECT_EQ(frame("OK"), "$OK#9a");  // 'O' + 'K' = 0x9a
  EXPECT_EQ(frame(""), "$#00");
  EXPECT_EQ(frame("a}b"), "$a}]b#9d");
}

TEST(Packet, ComesBackWhateverItsBytesAre) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  const Received received = only(frame(every));
  EXPECT_EQ(received.kind, Kind::kPacket);
  EXPECT_EQ(received.payload, every);
}

TEST(Packet, OfAnotherChecksumIsBroken) {
  EXPECT_EQ(only("$OK#9b").kind, Kind::kBroken);
  EXPECT_EQ(only("$OK#zz").kind, Kind::kBroken);
  EXPECT_EQ(only("$OK#-1").kind, Kind::kBroken);
  EXPECT_EQ(only("$OK#9A").kind, Kind::kPacket);
}

TEST(Packet, BeginsAnewWhereItsEndIsLost) {
  EXPECT_EQ(only("$m0,4$OK#9a").payload, "OK");
  EXPECT_EQ(only("$m0}$OK#9a").payload, "OK") << "not even an escape is followed by it";
}

TEST(Packet, HasALargestSize) {
  EXPECT_EQ(only(frame(std::string(kMostPayload, 'x'))).kind, Kind::kPacket);
  PacketParser parser;
  const auto all = parse(parser, frame(std::string(kMostPayload + 1, 'x')) + frame("OK"));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].kind, Kind::kBroken);
  EXPECT_EQ(all[1].payload, "OK");
}

TEST(Packet, BytesBetweenPacketsAreWhatTheyAre) {
  const auto all = parse("+-\x03 \n$OK#9a");
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].kind, Kind::kAck);
  EXPECT_EQ(all[1].kind, Kind::kNak);
  EXPECT_EQ(all[2].kind, Kind::kInterrupt);
  EXPECT_EQ(only("$+\x03-#5b").payload, "+\x03-") << "within one they are its own";
}

}  // namespace
}  // namespace husk::gdb
