#include "gdb/session.h"

#include <gmock/gmock.h>

#include "gdb/testing/fake_target.h"

namespace husk::gdb {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A client that is done with acknowledgements, but for the tests of those.
class GdbSession : public ::testing::Test {
 protected:
  GdbSession() { session_->receive(frame("QStartNoAckMode")); }

  // The answer's payload; "(none)" without one.
  std::string ask(const std::string& packet) {
    sent_.clear();
    session_->receive(frame(packet));
    return answer();
  }
  std::string answer() {
    PacketParser parser;
    std::string all;
    for (const char byte : std::exchange(sent_, {}))
      if (const auto received = parser.take(byte)) all += received->payload + "|";
    if (all.empty()) return "(none)";
    all.pop_back();
    return all;
  }
  std::string happens(const Stop& stop) {
    machine_.stop = stop;
    session_->look();
    return answer();
  }
  std::byte in_memory(uint64_t address) { return *machine_.memory().load<std::byte>(Gpa{address}); }

  testing::FakeTarget machine_{2};
  std::string sent_;
  std::optional<Session> session_{std::in_place, machine_,
                                  [this](std::string_view bytes) { sent_ += bytes; }};
};

TEST_F(GdbSession, StopsTheMachineAndLetsItGoOnInTheEnd) {
  EXPECT_FALSE(machine_.running);
  EXPECT_EQ(ask("?"), "T05thread:1;");
  session_.reset();
  EXPECT_TRUE(machine_.left);
  EXPECT_TRUE(machine_.running);
}

TEST(GdbAcks, AreGivenUntilTheClientWantsNone) {
  testing::FakeTarget machine{1};
  std::string sent;
  Session session(machine, [&](std::string_view bytes) { sent += bytes; });
  session.receive("$qC#00");
  EXPECT_EQ(std::exchange(sent, {}), "-") << "broken";
  session.receive(frame("qC"));
  EXPECT_EQ(std::exchange(sent, {}), "+$QC1#c5");
  session.receive("-");
  EXPECT_EQ(std::exchange(sent, {}), "$QC1#c5") << "again";
  session.receive(frame("QStartNoAckMode"));
  EXPECT_EQ(std::exchange(sent, {}), "+$OK#9a");
  session.receive(frame("qC"));
  EXPECT_EQ(std::exchange(sent, {}), "$QC1#c5");
  EXPECT_FALSE(session.over());
  session.receive("$qC#00");
  EXPECT_TRUE(session.over()) << "nobody sends it again";
}

TEST_F(GdbSession, SaysWhatItCan) {
  const std::string features = ask("qSupported:multiprocess+;swbreak+");
  EXPECT_THAT(features, HasSubstr("PacketSize=4000;"));
  EXPECT_THAT(features, HasSubstr("qXfer:features:read+"));
  EXPECT_EQ(ask("vCont?"), "vCont;c;C;s;S");
  EXPECT_EQ(ask("qAttached"), "1");
  EXPECT_EQ(ask("vMustReplyEmpty"), "");
  EXPECT_EQ(ask("!"), "");
  EXPECT_EQ(ask(""), "");
}

TEST_F(GdbSession, DescribesTheRegistersInPieces) {
  std::string text;
  for (char more = 'm'; more == 'm';) {
    const std::string piece = ask("qXfer:features:read:target.xml:" + to_hex(text.size()) + ",100");
    ASSERT_FALSE(piece.empty());
    more = piece.front();
    text += piece.substr(1);
  }
  EXPECT_EQ(text, machine_.architecture().description);
  EXPECT_THAT(text, HasSubstr("<architecture>i386:x86-64</architecture>"));
  EXPECT_EQ(ask("qXfer:features:read:target.xml:fffff,100"), "E16");
  EXPECT_EQ(ask("qXfer:features:read:other.xml:0,100"), "");
}

TEST_F(GdbSession, ThreadsAreVcpus) {
  EXPECT_EQ(ask("qfThreadInfo"), "m1,2");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(ask("qThreadExtraInfo,2"), "764350552031");  // "vCPU 1"
  EXPECT_EQ(ask("T2"), "OK");
  EXPECT_EQ(ask("T3"), "E16");
  EXPECT_EQ(ask("Hg2"), "OK");
  EXPECT_EQ(ask("qC"), "QC2");
  EXPECT_EQ(ask("Hg0"), "OK");
  EXPECT_EQ(ask("Hg3"), "E16");
  EXPECT_EQ(ask("H"), "E16");
}

TEST_F(GdbSession, RegistersAreThoseOfTheChosenVcpu) {
  machine_.states[1].gpr[contract::x86::kRbx] = 0x1122334455667788;
  machine_.states[1].rip = 0xffffffff81000000;
  EXPECT_EQ(ask("p1"), "0000000000000000");
  ask("Hg2");
  EXPECT_EQ(ask("p1"), "8877665544332211");
  EXPECT_EQ(ask("p10"), "00000081ffffffff");
  EXPECT_EQ(ask("P1=0100000000000000"), "OK");
  EXPECT_EQ(machine_.states[1].gpr[contract::x86::kRbx], 1U);
  EXPECT_EQ(machine_.states[0].gpr[contract::x86::kRbx], 0U);
  EXPECT_EQ(ask("P1=01"), "E16") << "too short";
  EXPECT_EQ(ask("pffff"), "E16");
  std::string all = ask("g");
  EXPECT_EQ(all.size(), 2 * machine_.architecture().offsets.back());
  all.replace(0, 2, "42");
  EXPECT_EQ(ask("G" + all), "OK");
  EXPECT_EQ(machine_.states[1].gpr[contract::x86::kRax], 0x42U);
  EXPECT_EQ(ask("G" + all + "00"), "E16");
}

TEST_F(GdbSession, MemoryIsReadAndWritten) {
  EXPECT_EQ(ask("M1000,3:010203"), "OK");
  EXPECT_EQ(ask("mfff,5"), "0001020300");
  EXPECT_EQ(ask(std::string("X1001,2:\x7d\x23", 10)), "OK");  // both are escaped on the way
  EXPECT_EQ(ask("m1000,4"), "017d2300");
  EXPECT_EQ(ask("mffffe,4"), "0000") << "up to the end of memory";
  EXPECT_EQ(ask("m100000,4"), "E0e");
  EXPECT_THAT(ask("Mfffff,2:0000"), StartsWith("E."));
  EXPECT_EQ(ask("m0,ffffffffffffffff"), "E16");
  EXPECT_EQ(ask("m0"), "E16");
  EXPECT_EQ(ask("M0,2:00"), "E16");
  EXPECT_EQ(ask("M0,1:0g"), "E16");
}

TEST_F(GdbSession, ContinuesUntilSomethingStops) {
  EXPECT_EQ(ask("vCont;c"), "(none)");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kRun, Action::kRun));
  session_->look();
  EXPECT_EQ(answer(), "(none)") << "nothing has happened";
  EXPECT_EQ(ask("g"), "(none)") << "it runs";
  EXPECT_EQ(happens({1, {DebugCause::kStep, 0}}), "T05thread:2;");
  EXPECT_EQ(ask("qC"), "QC2") << "who stopped is looked at";
}

TEST_F(GdbSession, EachThreadHasItsAction) {
  ask("vCont;s:2;c");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kRun, Action::kStep));
  happens({});
  ask("vCont;s:1");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kStep, Action::kStay));
  happens({});
  ask("vCont;C05:2;S05:-1");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kStep, Action::kRun));
  happens({});
  for (const char* wrong : {"vCont;x", "vCont;c:3", "vCont;c:0", "vCont;cc", "vCont;S", "vCont;"})
    EXPECT_EQ(ask(wrong), "E16") << wrong;
}

TEST_F(GdbSession, OldCommandsContinueAllAndStepOne) {
  ask("c");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kRun, Action::kRun));
  happens({1, {}});
  ask("s");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kStay, Action::kStep));
  happens({});
  ask("Hc2");
  ask("C05");
  EXPECT_THAT(machine_.actions, ElementsAre(Action::kStay, Action::kRun));
  happens({});
  EXPECT_EQ(ask("c1000"), "") << "elsewhere";
}

TEST_F(GdbSession, InterruptStopsWhatRuns) {
  const int before = machine_.halts;
  session_->receive("\x03");
  EXPECT_EQ(machine_.halts, before) << "it stands still";
  ask("vCont;c");
  session_->receive("\x03");
  EXPECT_EQ(answer(), "T02thread:1;");
  EXPECT_FALSE(machine_.running);
}

TEST_F(GdbSession, EndsAreTold) {
  ask("vCont;c");
  machine_.ended = End{.by_itself = true, .code = 7};
  session_->look();
  EXPECT_EQ(answer(), "W07");
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSession, CrashesAreToldAsCrashes) {
  machine_.ended = End{.by_itself = false};
  EXPECT_EQ(ask("vCont;c"), "X06");
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSession, KillEndsTheMachineAndDetachDoesNot) {
  EXPECT_EQ(ask("D"), "OK");
  EXPECT_TRUE(session_->over());
  EXPECT_FALSE(machine_.killed);
  session_.emplace(machine_, [this](std::string_view bytes) { sent_ += bytes; });
  EXPECT_THAT(ask("vKill;1"), HasSubstr("OK"));
  EXPECT_TRUE(machine_.killed);
}

TEST_F(GdbSession, SoftwareBreakpointsAreInMemoryAndNobodySeesThem) {
  EXPECT_EQ(ask("M2000,4:11223344"), "OK");
  EXPECT_EQ(ask("Z0,2001,1"), "OK");
  EXPECT_EQ(in_memory(0x2001), std::byte{0xcc});
  EXPECT_EQ(ask("m2000,4"), "11223344");
  EXPECT_EQ(ask("M2000,4:55667788"), "OK");
  EXPECT_EQ(in_memory(0x2001), std::byte{0xcc}) << "it stays";
  ask("vCont;c");
  EXPECT_THAT(machine_.points.software, ElementsAre(0x2001));
  EXPECT_EQ(happens({0, {DebugCause::kSoftwareBreakpoint, 0x2001}}), "T05thread:1;swbreak:;");
  EXPECT_EQ(ask("z0,2001,1"), "OK");
  EXPECT_EQ(in_memory(0x2001), std::byte{0x66}) << "what was written meanwhile";
}

TEST_F(GdbSession, WhatTheGuestHasWrittenOverABreakpointStays) {
  EXPECT_EQ(ask("Z0,2001,1"), "OK");
  ASSERT_TRUE(machine_.memory().store(Gpa{0x2001}, std::byte{0x90}));
  session_.reset();
  EXPECT_EQ(in_memory(0x2001), std::byte{0x90});
}

TEST_F(GdbSession, ClientsThatGoLeaveNoBreakpoints) {
  ask("Z0,2001,1");
  ask("Z0,fff,1");
  ask("vCont;c");
  session_.reset();
  EXPECT_EQ(in_memory(0x2001), std::byte{0});
  EXPECT_EQ(in_memory(0xfff), std::byte{0});
  EXPECT_TRUE(machine_.left);
}

TEST_F(GdbSession, BreakpointsWhereNothingIsMappedYetAreHardwares) {
  EXPECT_EQ(ask("Z0,ffffffff81000000,1"), "OK");
  ask("vCont;c");
  EXPECT_THAT(machine_.points.software, ElementsAre());
  EXPECT_THAT(machine_.points.hardware, ElementsAre(DebugPoint{.addr = 0xffffffff81000000}));
  EXPECT_EQ(happens({0, {DebugCause::kBreakpoint, 0xffffffff81000000}}), "T05thread:1;hwbreak:;");
  EXPECT_EQ(ask("z0,ffffffff81000000,1"), "OK");
  ask("vCont;c");
  EXPECT_THAT(machine_.points.hardware, ElementsAre());
}

TEST_F(GdbSession, ThereAreFourHardwarePoints) {
  for (const char* one : {"Z1,1000,1", "Z1,2000,1", "Z2,3000,8", "Z4,4000,2"})
    EXPECT_EQ(ask(one), "OK");
  EXPECT_EQ(ask("Z1,1000,1"), "OK") << "is there";
  EXPECT_EQ(ask("Z1,5000,1"),
            "E.hardware breakpoints: there are 4, watchpoints included, and all are in use");
  EXPECT_EQ(ask("z2,3000,8"), "OK");
  EXPECT_EQ(ask("Z1,5000,1"), "OK");
  EXPECT_EQ(ask("Z3,6000,4"), "") << "x86-64 cannot watch reads alone";
  ask("vCont;c");
  EXPECT_EQ(happens({1, {DebugCause::kWatchpoint, 0x4000}}), "T05thread:2;awatch:4000;");
}

TEST_F(GdbSession, WatchpointsOfAnyLengthAreMadeOfPieces) {
  EXPECT_EQ(ask("Z2,1001,7"), "OK");  // 1, 2 and 4 bytes
  ask("vCont;c");
  EXPECT_EQ(machine_.points.hardware.size(), 3U);
  EXPECT_EQ(happens({0, {DebugCause::kWatchpoint, 0x1002}}), "T05thread:1;watch:1002;");
  EXPECT_EQ(ask("z2,1001,7"), "OK");
  EXPECT_THAT(ask("Z2,1001,1f"), StartsWith("E.hardware breakpoints"));
  EXPECT_THAT(ask("Z2,1000,21"), StartsWith("E.watchpoint"));
  EXPECT_THAT(ask("Z2,1000,0"), StartsWith("E.watchpoint"));
  ask("vCont;c");
  EXPECT_THAT(machine_.points.hardware, ElementsAre());
}

TEST_F(GdbSession, PointsThatAreNoneAreRefused) {
  EXPECT_EQ(ask("Z"), "E16");
  EXPECT_EQ(ask("Z0"), "E16");
  EXPECT_EQ(ask("Z0,1000"), "E16");
  EXPECT_EQ(ask("Z0,1000,1;X2,2201"), "E16") << "a condition";
  EXPECT_EQ(ask("Z9,1000,1"), "");
}

}  // namespace
}  // namespace husk::gdb
