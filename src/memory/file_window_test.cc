#include "memory/file_window.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace husk::memory {
namespace {

const uint64_t kPage = FileWindow::host_page();
using Writes = FileWindow::Writes;

class FileWindowTest : public ::testing::Test {
 protected:
  // Page n of the file is full of 'a' + n.
  FileWindowTest() {
    for (char c : {'a', 'b', 'c'}) {
      const std::string page(kPage, c);
      EXPECT_EQ(::write(file.get(), page.data(), kPage), static_cast<ssize_t>(kPage));
    }
  }
  char seen(uint64_t at) { return static_cast<char>(window.host()[at]); }
  char in_file(uint64_t at) {
    char c = 0;
    EXPECT_EQ(::pread(file.get(), &c, 1, static_cast<off_t>(at)), 1);
    return c;
  }

  base::Fd file{::memfd_create("window-test", MFD_CLOEXEC)};
  FileWindow window = *FileWindow::create(4 * kPage);
};

TEST_F(FileWindowTest, ShowsAndHides) {
  EXPECT_EQ(seen(kPage), 0);
  ASSERT_TRUE(window.show(kPage, file.get(), kPage, 2 * kPage, Writes::kPrivate));
  EXPECT_EQ(seen(kPage), 'b');
  EXPECT_EQ(seen(3 * kPage - 1), 'c');
  EXPECT_EQ(seen(0), 0);
  ASSERT_TRUE(window.hide(kPage, kPage));
  EXPECT_EQ(seen(kPage), 0);
  EXPECT_EQ(seen(2 * kPage), 'c');
}

TEST_F(FileWindowTest, WritesGoWhereTheyShould) {
  ASSERT_TRUE(window.show(0, file.get(), 0, kPage, Writes::kPrivate));
  ASSERT_TRUE(window.show(kPage, file.get(), kPage, kPage, Writes::kShared));
  window.host()[0] = std::byte{'X'};
  window.host()[kPage] = std::byte{'Y'};
  EXPECT_EQ(in_file(0), 'a');
  EXPECT_EQ(in_file(kPage), 'Y');
  ASSERT_TRUE(window.show(0, file.get(), 0, kPage, Writes::kPrivate));
  EXPECT_EQ(seen(0), 'a') << "shown anew, the file's own";
}

TEST_F(FileWindowTest, FilesOpenForReadingCanBeShownPrivately) {
  const base::Fd reader(
      ::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(window.show(0, reader.get(), 0, kPage, Writes::kPrivate));
  window.host()[0] = std::byte{'X'};
  EXPECT_FALSE(window.show(0, reader.get(), 0, kPage, Writes::kShared));
  EXPECT_EQ(seen(0), 'X') << "a failure changes nothing";
}

TEST_F(FileWindowTest, RefusesWhatIsNotThere) {
  EXPECT_FALSE(window.show(0, file.get(), 2 * kPage, 2 * kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(0, file.get(), ~(kPage - 1), kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(4 * kPage, file.get(), 0, kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(kPage, file.get(), 0, 4 * kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(1, file.get(), 0, kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(0, file.get(), 1, kPage, Writes::kPrivate));
  EXPECT_FALSE(window.show(0, file.get(), 0, 0, Writes::kPrivate));
  EXPECT_FALSE(window.show(0, -1, 0, kPage, Writes::kPrivate));
  EXPECT_FALSE(window.hide(kPage, 8 * kPage));
  EXPECT_FALSE(window.hide(0, kPage / 2)) << "the host would hide all of the page";
  EXPECT_FALSE(FileWindow::create(0));
  EXPECT_FALSE(FileWindow::create(100));
}

}  // namespace
}  // namespace husk::memory
