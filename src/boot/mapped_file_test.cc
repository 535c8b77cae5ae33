#include "boot/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace husk::boot {
namespace {

class MappedFile : public ::testing::Test {
 protected:
  MappedFile() : fd_(::mkstemp(path_)) {}
  ~MappedFile() override {
    ::close(fd_);
    ::unlink(path_);
  }
  char path_[32] = "/tmp/husk-mapped-XXXXXX";
  int fd_;
};

TEST_F(MappedFile, HasTheFilesBytes) {
  ASSERT_EQ(::write(fd_, "kernel", 6), 6);
  const auto mapped = map_file(path_, "kernel");
  ASSERT_TRUE(mapped) << mapped.error().message();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped->data()), mapped->size()), "kernel");
}

TEST_F(MappedFile, RefusesEmptyFilesDirectoriesAndMissingOnes) {
  EXPECT_EQ(map_file(path_, "kernel").error().message(), std::string(path_) + ": kernel is empty");
  EXPECT_EQ(map_file("/tmp", "initrd").error().message(), "/tmp: initrd is not a regular file");
  EXPECT_EQ(map_file("/no/such", "kernel").error().message(),
            "/no/such: cannot open kernel: No such file or directory");
}

}  // namespace
}  // namespace husk::boot
