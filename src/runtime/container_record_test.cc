// What a snapshot says of its container, and what is refused of it.
#include "runtime/container_record.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "husk/host.h"

#include "oci/testing/temp_directory.h"

namespace husk::runtime {
namespace {

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

class Record : public ::testing::Test {
 protected:
  Record() {
    ::setenv("HUSK_CACHE", directory_.path().c_str(), 1);
    std::filesystem::create_directory(directory_ / "images");
    write_root("the root image");
    record_.config.name = "box";
    record_.config.kernel = "/boot/vmlinuz";
    record_.config.root_disk = root_;
    record_.config.cpu_model = CpuModel::kHost;
    record_.backend = "soft";
    record_.image = "sha256:1234";
    record_.stop_signal = "SIGINT";
    record_.terminal = record_.kernel_irqchip = true;
  }
  ~Record() override { ::unsetenv("HUSK_CACHE"); }
  void write_root(const std::string& text) { std::ofstream(root_, std::ios::trunc) << text; }
  // As it comes out of a file.
  snapshot::Contents written() {
    snapshot::Contents contents;
    contents.machine.vcpus.resize(2);
    contents.machine.total_memory = uint64_t{64} << 20;
    EXPECT_TRUE(put_record(record_, contents));
    return contents;
  }

  oci::testing::TempDirectory directory_;
  std::string root_ = directory_ / "images/root.erofs";
  ContainerRecord record_;
};

TEST_F(Record, ComesBack) {
  const auto got = get_record(written(), "snap");
  ASSERT_TRUE(got) << error_of(got);
  EXPECT_EQ(got->config.name, "box");
  EXPECT_EQ(got->config.root_disk, root_);
  EXPECT_EQ(got->config.cpus, 2U);
  EXPECT_EQ(got->config.memory_mb, 64U);
  EXPECT_EQ(got->backend, "soft");
  EXPECT_EQ(got->image, "sha256:1234");
  EXPECT_EQ(got->stop_signal, "SIGINT");
  EXPECT_TRUE(got->terminal && got->kernel_irqchip);
  EXPECT_FALSE(got->input || got->config.vsock);
}

TEST_F(Record, OfAnotherArchitectureIsRefused) {
  snapshot::Contents contents = written();
  contents.machine.arch =
      host::native_arch() == CpuArch::kX86_64 ? CpuArch::kAarch64 : CpuArch::kX86_64;
  EXPECT_NE(error_of(get_record(contents, "snap")).find("snap: is of a machine for "),
            std::string::npos);
}

TEST_F(Record, OfARootImageThatIsGoneOrAnotherIsRefused) {
  const snapshot::Contents contents = written();
  write_root("the root imagE");
  EXPECT_EQ(error_of(get_record(contents, "snap")),
            root_ + ": is another root image than the snapshot's, sha256:1234");
  write_root("the root image, and more");
  EXPECT_EQ(get_record(contents, "snap").error().kind, ErrorKind::kState);
  std::filesystem::remove(root_);
  EXPECT_EQ(get_record(contents, "snap").error().kind, ErrorKind::kNotFound);
}

TEST_F(Record, WhatIsMissingOrWrongIsRefused) {
  EXPECT_EQ(error_of(get_record({}, "snap")), "snap: is no snapshot of a container");
  snapshot::Contents contents = written();
  contents.origin.cpu_model = "x86-64-v9";
  EXPECT_EQ(get_record(contents, "snap").error().kind, ErrorKind::kCorrupt);
  for (const char* name : {"name", "kernel", "root", "root_fingerprint"}) {
    contents = written();
    contents.origin.identity.erase(name);
    EXPECT_FALSE(get_record(contents, "snap")) << name;
  }
  contents = written();
  contents.machine.vcpus.clear();
  EXPECT_FALSE(get_record(contents, "snap"));
}

TEST_F(Record, ReadsNoFileButARootImageOfTheUsers) {
  const std::string secret = directory_ / "secret";
  record_.config.root_disk = secret;
  std::ofstream(secret) << "the user's own";
  for (const std::string& name : {secret, std::string("../secret"), std::string("..")}) {
    snapshot::Contents contents = written();
    contents.origin.identity["root"] = name;
    EXPECT_EQ(error_of(get_record(contents, "snap")), "snap: names no root image") << name;
  }
}

TEST_F(Record, APositionComesBackAndIsTakenOutOfTheStates) {
  snapshot::Contents contents = written();
  agent::Position position;
  position.credit = 77;
  position.started = true;
  put_position(position, contents);
  const auto got = take_position(contents);
  ASSERT_TRUE(got) << error_of(got);
  EXPECT_EQ(got->credit, 77U);
  EXPECT_TRUE(got->started);
  EXPECT_TRUE(contents.states.empty());
  EXPECT_EQ(take_position(contents).error().kind, ErrorKind::kCorrupt);
  contents.states.push_back({"agent", std::vector<std::byte>(5)});
  EXPECT_EQ(take_position(contents).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace husk::runtime
