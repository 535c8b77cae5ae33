#include "base/temp_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing/temp_directory.h"

namespace husk::base {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TempFileTest : public ::testing::TestWithParam<bool> {
 protected:
  Result<TempFile> create() {
    return GetParam() ? TempFile::create_named(directory_.path())
                      : TempFile::create(directory_.path());
  }
  testing::TempDirectory directory_;
};

TEST_P(TempFileTest, HasItsNameOnlyWhenPublished) {
  {
    auto file = create();
    ASSERT_TRUE(file);
    ASSERT_EQ(::write(file->fd(), "x", 1), 1);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "entry"));
    EXPECT_EQ(file->publish(directory_ / "entry"), true);
  }
  EXPECT_THAT(testing::listed(directory_.path()), ElementsAre("entry"));
  EXPECT_EQ(testing::read_whole_file(directory_ / "entry"), "x");
  struct stat st{};
  ASSERT_EQ(::stat((directory_ / "entry").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0400U);
}

TEST_P(TempFileTest, NeverReplaces) {
  testing::write_file(directory_ / "entry", "first");
  {
    auto file = create();
    ASSERT_TRUE(file);
    EXPECT_EQ(file->publish(directory_ / "entry"), false);
    EXPECT_FALSE(file->publish(directory_ / "no/such/directory"));
  }
  EXPECT_THAT(testing::listed(directory_.path()), ElementsAre("entry"));
  EXPECT_EQ(testing::read_whole_file(directory_ / "entry"), "first");
}

TEST_P(TempFileTest, ReplacesWhenThatIsWanted) {
  for (const char* content : {"first", "second"}) {
    auto file = create();
    ASSERT_TRUE(file);
    ASSERT_EQ(::write(file->fd(), content, strlen(content)), static_cast<ssize_t>(strlen(content)));
    ASSERT_TRUE(file->replace(directory_ / "entry"));
    EXPECT_FALSE(file->replace(directory_ / "no/such/directory"));
  }
  EXPECT_THAT(testing::listed(directory_.path()), ElementsAre("entry"));
  EXPECT_EQ(testing::read_whole_file(directory_ / "entry"), "second");
}

TEST_P(TempFileTest, GoesWithItsOwner) {
  {
    ASSERT_TRUE(create());
  }
  EXPECT_THAT(testing::listed(directory_.path()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(BothKinds, TempFileTest, ::testing::Bool());

TEST(TempFile, TheDeadAreSweptAndTheLivingSpared) {
  testing::TempDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = TempFile::create_named(directory.path());
    ::_exit(file ? 0 : 1);  // as if killed: no destructor runs
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_THAT(testing::listed(directory.path()), SizeIs(1));
  auto first = TempFile::create_named(directory.path());
  EXPECT_THAT(testing::listed(directory.path()), SizeIs(1));
  auto second = TempFile::create_named(directory.path());
  EXPECT_THAT(testing::listed(directory.path()), SizeIs(2));
}

TEST(TempFile, ScratchFilesAreNeverSeen) {
  testing::TempDirectory directory;
  auto fd = open_scratch_file(directory.path());
  ASSERT_TRUE(fd);
  EXPECT_THAT(testing::listed(directory.path()), IsEmpty());
  EXPECT_FALSE(open_scratch_file(directory / "none"));
}

}  // namespace
}  // namespace husk::base
