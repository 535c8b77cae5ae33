// Users as images name them, against files that images bring.
#include "agent/guest/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace husk::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "half:x:7\n"
    "nan:x:seven:7::/:/bin/sh\n"
    "www:x:33:34:web,,,:/var/www:/sbin/nologin\n"
    "homeless:x:50:51:\n"
    "nowhere:x:52:52:::/bin/sh\n"
    "1234:x:99:98::/numbers:/bin/sh\n"
    "www:x:77:77:second:/other:\n"
    "shared:x:33:88::/shared:\n"
    "vast:x:4294967294:5::/:\n"
    "last:x:60:61::/last:";  // no newline

constexpr const char* kGroup =
    "root:x:0:\n"
    "junk\n"
    "bad:x:no:www\n"
    "web:x:34:\n"
    "audio:x:29:www,last\n"
    "video:x:44:last,www\n"
    "wwwx:x:45:wwwx\n"
    "555:x:5:\n"
    "vast:x:2147483648:\n";

class UsersTest : public ::testing::Test {
 protected:
  UsersTest() {
    directory = ::testing::TempDir() + "husk-users-" + std::to_string(::getpid());
    std::filesystem::create_directories(directory);
    passwd = directory + "/passwd";
    group = directory + "/group";
    write(passwd, kPasswd);
    write(group, kGroup);
  }
  ~UsersTest() override { std::filesystem::remove_all(directory); }

  static void write(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  bool resolve(const std::string& text) {
    identity = {};
    error.clear();
    return resolve_user(text, identity, error, {passwd.c_str(), group.c_str()});
  }
  // "uid:gid home" or the error.
  std::string resolved(const std::string& text) {
    if (!resolve(text)) return error;
    return std::to_string(identity.uid) + ":" + std::to_string(identity.gid) + " " + identity.home;
  }

  std::string directory, passwd, group, error;
  Identity identity;
};

constexpr const char* kOutOfRange = "uids and gids must be in range 0-2147483647";

TEST_F(UsersTest, NobodyNamedIsRoot) {
  EXPECT_EQ(resolved(""), "0:0 /root");
  EXPECT_EQ(resolved(":"), "0:0 /root");
}

TEST_F(UsersTest, ANameBringsItsIdsHomeAndGroups) {
  EXPECT_EQ(resolved("www"), "33:34 /var/www") << "the first entry of a name counts";
  EXPECT_THAT(identity.groups, ElementsAre(29, 44));
  EXPECT_EQ(resolved("last"), "60:61 /last") << "a last line without an end";
  EXPECT_THAT(identity.groups, ElementsAre(29, 44));
}

TEST_F(UsersTest, AGroupListNamesWholeNames) {
  ASSERT_TRUE(resolve("root"));
  EXPECT_THAT(identity.groups, IsEmpty());
}

TEST_F(UsersTest, ANumberFindsItsEntryOrStandsAlone) {
  EXPECT_EQ(resolved("33"), "33:34 /var/www");
  EXPECT_THAT(identity.groups, ElementsAre(29, 44));
  EXPECT_EQ(resolved("4000"), "4000:0 /");
  EXPECT_THAT(identity.groups, IsEmpty());
  EXPECT_EQ(resolved("1234"), "99:98 /numbers") << "a name that is a number";
}

TEST_F(UsersTest, AGroupReplacesThePrimaryOneAndAllOthers) {
  EXPECT_EQ(resolved("www:audio"), "33:29 /var/www");
  EXPECT_THAT(identity.groups, IsEmpty());
  EXPECT_EQ(resolved("www:1000"), "33:1000 /var/www");
  EXPECT_EQ(resolved("4000:audio"), "4000:29 /");
  EXPECT_EQ(resolved("4000:5000"), "4000:5000 /");
  EXPECT_EQ(resolved("4000:555"), "4000:5 /") << "a name that is a number";
  EXPECT_EQ(resolved(":audio"), "0:29 /root");
  EXPECT_EQ(resolved("www:"), "33:34 /var/www");
}

TEST_F(UsersTest, SaysWhoIsUnknown) {
  EXPECT_EQ(resolved("nobody"), "unable to find user nobody: no matching entries in passwd file");
  EXPECT_EQ(resolved("www:wheel"), "unable to find group wheel: no matching entries in group file");
  EXPECT_THAT(resolved("Www"), HasSubstr("unable to find user Www"));
  EXPECT_THAT(resolved(" 33"), HasSubstr("unable to find user  33"));
  EXPECT_THAT(resolved("0x21"), HasSubstr("unable to find user"));
  EXPECT_THAT(resolved("-"), HasSubstr("unable to find user -"));
  EXPECT_THAT(resolved("www:a:b"), HasSubstr("unable to find group a:b"));
}

TEST_F(UsersTest, NumbersThatAreNoIdsAreRefused) {
  for (const char* text :
       {"2147483648", "4294967295", "4294967296", "18446744073709551616", "-1",
        "-9999999999999999999999", "0:2147483648", "0:4294967296", "0:-1", "vast", "www:vast"})
    EXPECT_EQ(resolved(text), kOutOfRange) << text;
  EXPECT_EQ(resolved("2147483647:2147483647"), "2147483647:2147483647 /");
}

TEST_F(UsersTest, LinesThatAreBrokenNameNobody) {
  for (const char* name : {"half", "nan", "broken line", "homeless", "www:bad", "www:junk"})
    EXPECT_THAT(resolved(name), HasSubstr("unable to find")) << name;
  EXPECT_EQ(resolved("7"), "7:0 /");
  EXPECT_EQ(resolved("nowhere"), "52:52 /") << "an empty home";
}

TEST_F(UsersTest, WithoutFilesNumbersStillWork) {
  std::filesystem::remove(passwd);
  std::filesystem::remove(group);
  EXPECT_EQ(resolved(""), "0:0 /root");
  EXPECT_EQ(resolved("5:6"), "5:6 /");
  EXPECT_THAT(resolved("root"), HasSubstr("unable to find user root"));
  EXPECT_THAT(resolved("0:root"), HasSubstr("unable to find group root"));
}

// An image may put anything there; opening a FIFO for reading would wait for ever.
TEST_F(UsersTest, WhatIsNoFileListsNobody) {
  std::filesystem::remove(passwd);
  ASSERT_EQ(::mkfifo(passwd.c_str(), 0600), 0);
  EXPECT_EQ(resolved("33"), "33:0 /");
  std::filesystem::remove(passwd);
  std::filesystem::create_directory(passwd);
  EXPECT_EQ(resolved("33"), "33:0 /");
}

TEST_F(UsersTest, AHugeFileListsNobody) {
  write(passwd, kPasswd);
  std::filesystem::resize_file(passwd, (4 << 20) + 1);
  EXPECT_EQ(resolved("33"), "33:0 /");
}

TEST_F(UsersTest, FilesOfZeroBytesAndOfManyLinesAreRead) {
  write(passwd, "");
  EXPECT_EQ(resolved("33"), "33:0 /");
  std::string many;
  for (int i = 0; i < 20000; ++i)
    many += "user" + std::to_string(i) + ":x:" + std::to_string(i + 100) + ":9::/h:\n";
  write(passwd, many);
  EXPECT_EQ(resolved("user19999"), "20099:9 /h");
}

}  // namespace
}  // namespace husk::agent
