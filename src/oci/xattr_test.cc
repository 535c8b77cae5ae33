#include "oci/xattr.h"

#include <gtest/gtest.h>

namespace husk::oci {
namespace {

TEST(Xattr, NamesHaveANumberedPrefix) {
  EXPECT_EQ(xattr_key("user.a")->index, 1);
  EXPECT_EQ(xattr_key("user.a")->suffix, "a");
  EXPECT_EQ(xattr_key("system.posix_acl_access")->index, 2);
  EXPECT_EQ(xattr_key("system.posix_acl_access")->suffix, "");
  EXPECT_EQ(xattr_key("system.posix_acl_default")->index, 3);
  EXPECT_EQ(xattr_key("trusted.x")->index, 4);
  EXPECT_EQ(xattr_key("security.capability")->index, 6);
  for (const char* name : {"", "user.", "user", "com.apple.quarantine", "system.posix_acl_access2"})
    EXPECT_FALSE(xattr_key(name)) << name;
}

TEST(Xattr, TheGuestsOverlayIsNotSteered) {
  EXPECT_TRUE(is_kept_xattr("trusted.mine"));
  EXPECT_FALSE(is_kept_xattr("trusted.overlay.opaque"));
  EXPECT_FALSE(is_kept_xattr("user.overlay.redirect"));
  EXPECT_FALSE(is_kept_xattr("btrfs.compression"));
}

TEST(Xattr, EncodesByFieldAndAligns) {
  EXPECT_EQ(encoded_size({}), 0U);
  const std::vector<Xattr> xattrs{{"security.c", "abc"}, {"user.name", std::string("\0v", 2)}};
  std::string bytes;
  append_encoded(xattrs, bytes);
  EXPECT_EQ(bytes.size(), encoded_size(xattrs));
  EXPECT_EQ(bytes, std::string(12, '\0') + std::string("\x01\x06\x03\x00", 4) + "cabc" +
                       std::string("\x04\x01\x02\x00", 4) + "name" + std::string("\0v\0\0", 4));
}

TEST(Xattr, FieldWidthsAreLimits) {
  EXPECT_EQ(xattr_problem({{"user.a", std::string(65535, 'v')}}), nullptr);
  EXPECT_NE(xattr_problem({{"user.a", std::string(65536, 'v')}}), nullptr);
  EXPECT_EQ(xattr_problem({{"user." + std::string(255, 'n'), ""}}), nullptr);
  EXPECT_NE(xattr_problem({{"user." + std::string(256, 'n'), ""}}), nullptr);
  std::vector<Xattr> many;
  many.reserve(6);
  for (int i = 0; i < 3; ++i)
    many.push_back({"user." + std::to_string(i), std::string(65000, 'v')});
  EXPECT_EQ(xattr_problem(many), nullptr);
  for (int i = 3; i < 6; ++i)
    many.push_back({"user." + std::to_string(i), std::string(65000, 'v')});
  EXPECT_NE(xattr_problem(many), nullptr);
}

}  // namespace
}  // namespace husk::oci
