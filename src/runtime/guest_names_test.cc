#include "runtime/guest_names.h"

#include <gtest/gtest.h>

namespace husk::runtime {
namespace {

constexpr std::string_view kOne = "0123456789abcdef0123456789abcdef";

TEST(MachineId, IsKeptWhereNoneIsWanted) { EXPECT_EQ(*resolve_machine_id(""), ""); }

TEST(MachineId, IsTheOneThatIsGiven) { EXPECT_EQ(*resolve_machine_id(kOne), kOne); }

TEST(MachineId, ANewOneIsAnotherEachTimeAndOneThatCouldBeGiven) {
  const auto id = resolve_machine_id(kNewMachineId), other = resolve_machine_id(kNewMachineId);
  ASSERT_TRUE(id && other);
  EXPECT_NE(*id, *other);
  EXPECT_EQ(*resolve_machine_id(*id), *id);
  EXPECT_EQ((*id)[12], '4');                                               // the version
  EXPECT_NE(std::string_view("89ab").find((*id)[16]), std::string::npos);  // the variant
}

TEST(MachineId, WhatIsNoneIsRefused) {
  for (const std::string_view bad :
       {"NEW", "0123456789ABCDEF0123456789ABCDEF", "00000000000000000000000000000000",
        "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdef0",
        "01234567-89ab-cdef-0123-456789abcdef"}) {
    const auto id = resolve_machine_id(bad);
    ASSERT_FALSE(id) << bad;
    EXPECT_EQ(id.error().kind, ErrorKind::kInvalidArgument);
  }
}

TEST(Hostname, IsOneThatLinuxTakes) {
  for (const std::string& good :
       {std::string(), std::string("a"), std::string("web-1.example"), std::string(64, 'x')})
    EXPECT_TRUE(check_hostname(good)) << good;
  for (const std::string& bad : {std::string(65, 'x'), std::string("-a"), std::string(".a"),
                                 std::string("a b"), std::string("a\n"), std::string("\xc3\xa4")})
    EXPECT_FALSE(check_hostname(bad)) << bad;
}

}  // namespace
}  // namespace husk::runtime
