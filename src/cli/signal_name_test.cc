#include "cli/signal_name.h"

#include <gtest/gtest.h>

#include <csignal>

namespace husk::cli {
namespace {

TEST(SignalName, IsReadAsDockerDoes) {
  EXPECT_EQ(parse_signal(""), SIGTERM);
  for (const char* text : {"KILL", "SIGKILL", "kill", "sigkill", "9"})
    EXPECT_EQ(parse_signal(text), SIGKILL) << text;
  EXPECT_EQ(parse_signal("USR1"), SIGUSR1);
  EXPECT_EQ(parse_signal("SIGWINCH"), SIGWINCH);
  EXPECT_EQ(parse_signal("SYS"), SIGSYS);
  EXPECT_EQ(parse_signal("STKFLT"), SIGSTKFLT);
  EXPECT_EQ(parse_signal("RTMIN"), 34);
  EXPECT_EQ(parse_signal("SIGRTMIN+3"), 37);
  EXPECT_EQ(parse_signal("RTMAX-1"), 63);
  EXPECT_EQ(parse_signal("64"), 64);
}

TEST(SignalName, WhatIsNoneIsRefused) {
  for (const char* text : {"0", "65", "-9", "9x", " 9", "SIG", "NIX", "SIGSIGKILL", "RTMIN+",
                           "RTMIN+99", "RTMIN-1", "RTMAX+1", "RTMIN+x", "99999999999999999999"})
    EXPECT_EQ(parse_signal(text).error().kind, ErrorKind::kInvalidArgument) << text;
}

}  // namespace
}  // namespace husk::cli
