#include "oci/cache.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "oci/erofs_writer.h"
#include "oci/testing/temp_directory.h"

namespace husk::oci {
namespace {

using ::testing::IsEmpty;

Result<void> write_small_image(int fd) {
  const Tree tree(10);
  const Spool spool(base::Fd(::memfd_create("spool", MFD_CLOEXEC)), "spool");
  return write_root_image(tree, spool, {}, fd, "image");
}

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() { base::set_log_level(base::LogLevel::kSilent); }
  ~CacheTest() override { base::set_log_level(base::LogLevel::kWarn); }

  testing::TempDirectory directory_;
  Cache cache_ = Cache::open(directory_ / "new/cache").value();
  Digest digest_ = digest_of("image");
};

TEST_F(CacheTest, IsPrivateAndNamesEntriesByDigest) {
  struct stat st{};
  ASSERT_EQ(::stat((directory_ / "new/cache/images").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700U);
  EXPECT_EQ(cache_.path_of(digest_),
            directory_ / "new/cache/images/sha256-" + digest_.hex + "-v1.erofs");
}

TEST_F(CacheTest, FindsWhatWasAdded) {
  EXPECT_FALSE(cache_.find(digest_).value());
  ASSERT_TRUE(cache_.add(digest_, write_small_image));
  EXPECT_TRUE(cache_.find(digest_).value());
  EXPECT_FALSE(cache_.find(digest_of("other")).value());
}

TEST_F(CacheTest, AFailedBuilderLeavesNothing) {
  const auto failed = cache_.add(digest_, [](int fd) -> Result<void> {
    EXPECT_EQ(::write(fd, "part", 4), 4);
    return fail(ErrorKind::kIo, "builder", "no space");
  });
  EXPECT_EQ(failed.error().why, "no space");
  EXPECT_THAT(testing::listed(cache_.images()), IsEmpty());
}

TEST_F(CacheTest, TheFasterBuilderWins) {
  const auto entry = cache_.add(digest_, [&](int fd) -> Result<void> {
    EXPECT_TRUE(cache_.add(digest_, write_small_image));
    return write_small_image(fd);
  });
  EXPECT_TRUE(entry);
  EXPECT_EQ(testing::listed(cache_.images()).size(), 1U);
}

TEST_F(CacheTest, ADamagedEntryIsRemovedAndBuiltAgain) {
  for (const std::string& damaged :
       {std::string(), std::string(4096, 'x'), std::string(100, 'x')}) {
    testing::write_file(cache_.path_of(digest_), damaged);
    EXPECT_FALSE(cache_.find(digest_).value());
    EXPECT_THAT(testing::listed(cache_.images()), IsEmpty());
  }
  EXPECT_TRUE(cache_.add(digest_, write_small_image));
}

TEST_F(CacheTest, ADirectoryThatCannotBeMadeIsAnError) {
  testing::write_file(directory_ / "file", "");
  EXPECT_FALSE(Cache::open(directory_ / "file/cache"));
}

TEST(DefaultCacheDirectory, FollowsTheEnvironment) {
  ::setenv("HOME", "/home/u", 1);
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HUSK_CACHE");
  EXPECT_EQ(default_cache_directory(), "/home/u/.cache/husk");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(default_cache_directory(), "/home/u/.cache/husk");
  ::setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(default_cache_directory(), "/xdg/husk");
  ::setenv("HUSK_CACHE", "/mine", 1);
  EXPECT_EQ(default_cache_directory(), "/mine");
  for (const char* name : {"HOME", "XDG_CACHE_HOME", "HUSK_CACHE"}) ::unsetenv(name);
  EXPECT_EQ(default_cache_directory().error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace husk::oci
