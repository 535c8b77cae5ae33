#include "agent/protocol/link.h"

#include <gtest/gtest.h>

namespace husk::agent {
namespace {

// Two ends, and a wire that can be cut at any byte.
struct Pair {
  Link host, guest;
  std::vector<Frame> heard;  // by the host

  // A connection on which both ends know each other's place.
  void connect() {
    host.begin({});
    guest.begin({});
    const uint64_t host_wants = host.wanted(), guest_wants = guest.wanted();
    ASSERT_TRUE(host.can_go_on(guest_wants) && guest.can_go_on(host_wants));
    host.go_on(guest_wants);
    guest.go_on(host_wants);
  }
  // Moves at most so many bytes; returns how many.
  static size_t move(Link& from, Link& to, size_t most) {
    size_t moved = 0;
    while (moved < most) {
      const std::string_view bytes = from.outgoing().substr(0, most - moved);
      if (bytes.empty()) break;
      to.feed(bytes);
      from.wrote(bytes.size());
      moved += bytes.size();
    }
    return moved;
  }
  size_t to_host(size_t most = ~size_t{0}) {
    const size_t moved = move(guest, host, most);
    while (auto frame = host.next()) {
      host.delivered(*frame);
      heard.push_back(std::move(*frame));
    }
    return moved;
  }
  void to_guest() {
    move(host, guest, ~size_t{0});
    while (auto frame = guest.next()) guest.delivered(*frame);
  }
};

TEST(Link, GivesEveryFrameOnceWhereverTheConnectionIsCut) {
  constexpr int kFrames = 40;
  std::string whole;
  for (int i = 0; i < kFrames; ++i) whole += encode(Type::kStdout, std::to_string(i), i + 1);
  for (size_t cut = 1; cut < 200; ++cut) {
    Pair pair;
    for (int i = 0; i < kFrames; ++i) pair.guest.send(Type::kStdout, std::to_string(i));
    do {
      pair.connect();
    } while (pair.to_host(cut) == cut && cut >= kHeaderSize + 2 &&
             pair.heard.size() < size_t{kFrames});
    if (cut < kHeaderSize + 2) continue;  // no frame is as short
    ASSERT_EQ(pair.heard.size(), size_t{kFrames}) << cut;
    for (int i = 0; i < kFrames; ++i) EXPECT_EQ(pair.heard[i].payload, std::to_string(i));
  }
}

TEST(Link, KeepsWhatIsNotAcknowledgedAndNoMore) {
  Pair pair;
  pair.connect();
  const std::string piece(Link::kAckEvery / 4, 'x');
  for (int i = 0; i < 6; ++i) pair.guest.send(Type::kStdout, piece);
  EXPECT_EQ(pair.guest.kept(), 6 * (kHeaderSize + piece.size()));
  pair.to_host();
  EXPECT_EQ(pair.heard.size(), 6u);
  EXPECT_EQ(pair.guest.kept(), 6 * (kHeaderSize + piece.size())) << "it was told of nothing yet";
  pair.to_guest();
  EXPECT_LE(pair.guest.kept(), 3 * (kHeaderSize + piece.size()));
  pair.host.acknowledge();
  pair.to_guest();
  EXPECT_EQ(pair.guest.kept(), 0u);
}

TEST(Link, SaysNothingNumberedBeforeItMayGoOn) {
  Link link;
  link.send(Type::kSignal, number_payload(15));
  link.begin("greeting");
  EXPECT_EQ(link.outgoing(), "greeting");
  link.wrote(8);
  EXPECT_EQ(link.outgoing(), "");
  EXPECT_FALSE(link.has_outgoing());
  link.go_on(1);
  EXPECT_TRUE(link.has_outgoing());
  EXPECT_EQ(link.outgoing(), encode(Type::kSignal, number_payload(15), 1));
}

TEST(Link, GoesOnFromWhatItKeepsOnly) {
  Link link;
  for (int i = 0; i < 3; ++i) link.send(Type::kStdin, "x");
  link.go_on(2);
  EXPECT_FALSE(link.can_go_on(0));
  EXPECT_FALSE(link.can_go_on(1)) << "it was acknowledged";
  EXPECT_TRUE(link.can_go_on(2));
  EXPECT_TRUE(link.can_go_on(4));
  EXPECT_FALSE(link.can_go_on(5)) << "it was never said";
  EXPECT_FALSE(link.can_go_on(~uint64_t{0}));
}

TEST(Link, AFrameOutOfItsOrderBreaksIt) {
  for (const uint64_t sequence : {0ULL, 1ULL, 3ULL, ~0ULL}) {
    Link link;
    link.begin({});
    link.feed(encode(Type::kStdout, "one", 1) + encode(Type::kStdout, "two", sequence) +
              encode(Type::kStdout, "three", 2));
    const auto one = link.next();
    ASSERT_TRUE(one);
    link.delivered(*one);
    EXPECT_FALSE(link.next()) << sequence;
    EXPECT_TRUE(link.broken()) << sequence;
  }
}

TEST(Link, AnAckOfWhatWasNeverSaidBreaksIt) {
  for (const uint64_t wanted : {0ULL, 3ULL, ~0ULL}) {
    Link link;
    link.send(Type::kStdin, "x");
    link.begin({});
    link.go_on(1);
    link.feed(encode(Type::kAck, {}, wanted));
    EXPECT_FALSE(link.next());
    EXPECT_TRUE(link.broken()) << wanted;
    EXPECT_EQ(link.kept(), kHeaderSize + 1);
  }
}

TEST(Link, ANewConnectionMendsABrokenOne) {
  Link link;
  link.begin({});
  link.feed(std::string(kHeaderSize, '\xff'));
  EXPECT_FALSE(link.next());
  EXPECT_TRUE(link.broken());
  link.begin({});
  EXPECT_FALSE(link.broken());
  link.feed(encode(Type::kStdout, "x", 1));
  EXPECT_TRUE(link.next());
}

TEST(LinkPosition, IsAllThatAnotherEndNeedsToGoOn) {
  Pair pair;
  pair.connect();
  pair.guest.send(Type::kStdout, "before");
  pair.to_host();
  pair.host.send(Type::kStdin, "typed");
  const auto position = decode_link_position(encode_link_position(pair.host.position()));
  ASSERT_TRUE(position);
  pair.guest.send(Type::kStdout, "after");
  pair.host = Link(*position);
  EXPECT_EQ(pair.host.kept(), kHeaderSize + 5);
  pair.connect();
  pair.to_host();
  ASSERT_EQ(pair.heard.size(), 2u);
  EXPECT_EQ(pair.heard[1].payload, "after");
  Pair::move(pair.host, pair.guest, ~size_t{0});
  const auto typed = pair.guest.next();
  ASSERT_TRUE(typed);
  EXPECT_EQ(typed->payload, "typed");
}

TEST(LinkPosition, IsRefusedWhenItIsNone) {
  Link link;
  link.send(Type::kStdin, "a");
  link.send(Type::kStdin, "b");
  const LinkPosition good = link.position();
  const std::string bytes = encode_link_position(good);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_link_position(bytes.substr(0, size))) << size;
  EXPECT_FALSE(decode_link_position(bytes + "x"));
  LinkPosition gap = good;
  gap.first = 2;
  EXPECT_FALSE(decode_link_position(encode_link_position(gap)));
  LinkPosition nonsense = good;
  nonsense.kept[1] += "more";
  EXPECT_FALSE(decode_link_position(encode_link_position(nonsense)));
  LinkPosition zero = good;
  zero.wanted = 0;
  EXPECT_FALSE(decode_link_position(encode_link_position(zero)));
}

}  // namespace
}  // namespace husk::agent
