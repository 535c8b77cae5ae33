// The initial RAM disk, read back by the rules of its format.
#include "agent/host/initramfs.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace husk::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Member {
  uint32_t inode = 0, mode = 0, links = 0, device_major = 0, device_minor = 0;
  std::string data;
};

struct Archive {
  std::map<std::string, Member> members;
  std::vector<std::string> names;  // in order
  bool complete = false;           // ended by a trailer and nothing behind it
};

uint32_t hex_field(std::string_view header, size_t index) {
  const std::string_view digits = header.substr(6 + 8 * index, 8);
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 8, value, 16);
  EXPECT_TRUE(error == std::errc{} && end == digits.data() + 8) << digits;
  return value;
}

// Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
Archive read_archive(std::string_view bytes) {
  constexpr size_t kHeader = 110;
  Archive archive;
  for (size_t at = 0; at + kHeader <= bytes.size();) {
    const std::string_view header = bytes.substr(at, kHeader);
    if (!header.starts_with("070701")) break;
    const size_t size = hex_field(header, 6), name_size = hex_field(header, 11);
    const std::string name(bytes.substr(at + kHeader, name_size - 1));
    EXPECT_EQ(bytes.at(at + kHeader + name_size - 1), '\0');
    const size_t data = (at + kHeader + name_size + 3) / 4 * 4;
    at = (data + size + 3) / 4 * 4;
    if (name == "TRAILER!!!") {
      archive.complete = at == bytes.size();
      break;
    }
    archive.names.push_back(name);
    archive.members[name] = {hex_field(header, 0),  hex_field(header, 1),
                             hex_field(header, 4),  hex_field(header, 9),
                             hex_field(header, 10), std::string(bytes.substr(data, size))};
  }
  return archive;
}

class InitramfsTest : public ::testing::Test {
 protected:
  InitramfsTest() {
    root = ::testing::TempDir() + "husk-initramfs-" + std::to_string(::getpid());
    std::filesystem::create_directories(root);
    file("modules.dep",
         "kernel/a/alpha.ko: kernel/b/beta.ko kernel/c/gamma_ray.ko\n"
         "kernel/b/beta.ko: kernel/c/gamma_ray.ko\n"
         "kernel/c/gamma_ray.ko:\n"
         "kernel/d/delta-wave.ko:\n"
         "no colon on this line\n");
    file("modules.builtin", "kernel/drivers/built-in-one.ko\n");
    for (const char* path : {"kernel/a/alpha.ko", "kernel/b/beta.ko", "kernel/c/gamma_ray.ko",
                             "kernel/d/delta-wave.ko"})
      file(path, std::string("contents of ") + path);
  }
  ~InitramfsTest() override { std::filesystem::remove_all(root); }

  void file(const std::string& path, std::string_view text) const {
    const std::filesystem::path full = root + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
  }
  [[nodiscard]] Archive build(const std::vector<std::string>& wanted) const {
    const auto bytes = build_initramfs(root, wanted);
    EXPECT_TRUE(bytes) << bytes.error().message();
    return bytes ? read_archive(*bytes) : Archive{};
  }
  [[nodiscard]] std::string delta_in_archive() const {
    return build({"delta_wave"}).members["lib/husk/delta-wave.ko"].data;
  }

  std::string root;
};

TEST_F(InitramfsTest, IsACompleteArchiveWithInitAndItsDirectories) {
  const Archive archive = build({});
  ASSERT_TRUE(archive.complete);
  const Member& init = archive.members.at("init");
  EXPECT_EQ(init.mode, S_IFREG | 0755u);
  const auto agent = agent_binary();
  EXPECT_EQ(init.data, std::string_view(reinterpret_cast<const char*>(agent.data()), agent.size()));
  for (const char* name : {"dev", "proc", "sys", "etc", "etc/husk", "lib", "lib/husk"})
    EXPECT_EQ(archive.members.at(name).mode, S_IFDIR | 0755u) << name;
  EXPECT_EQ(archive.members.at("etc/husk/modules").data, "");
}

// The kernel makes a file only in a directory that is there already.
TEST_F(InitramfsTest, DirectoriesComeBeforeWhatIsInThemAndInodesDiffer) {
  const Archive archive = build({"alpha"});
  std::map<std::string, bool> seen{{"", true}};
  std::map<uint32_t, bool> inodes;
  for (const std::string& name : archive.names) {
    const size_t slash = name.rfind('/');
    EXPECT_TRUE(seen[slash == std::string::npos ? "" : name.substr(0, slash)]) << name;
    seen[name] = true;
    EXPECT_FALSE(std::exchange(inodes[archive.members.at(name).inode], true)) << name;
  }
}

TEST_F(InitramfsTest, DevicesHaveTheirNumbers) {
  const Archive archive = build({});
  const Member& console = archive.members.at("dev/console");
  EXPECT_EQ(console.mode, S_IFCHR | 0600u);
  EXPECT_EQ(console.device_major, 5u);
  EXPECT_EQ(console.device_minor, 1u);
  const Member& null = archive.members.at("dev/null");
  EXPECT_EQ(null.mode, S_IFCHR | 0666u);
  EXPECT_EQ(null.device_major, 1u);
  EXPECT_EQ(null.device_minor, 3u);
}

// PID 1 of a RAM disk without a C library.
TEST_F(InitramfsTest, TheAgentIsAStaticProgram) {
  const auto agent = agent_binary();
  Elf64_Ehdr header{};
  ASSERT_GT(agent.size(), sizeof(header));
  std::memcpy(&header, agent.data(), sizeof(header));
  ASSERT_EQ(std::string_view(reinterpret_cast<const char*>(header.e_ident), SELFMAG), ELFMAG);
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    std::memcpy(&segment, agent.data() + header.e_phoff + i * sizeof(segment), sizeof(segment));
    EXPECT_NE(segment.p_type, static_cast<uint32_t>(PT_INTERP));
  }
}

TEST_F(InitramfsTest, ModulesComeAfterWhatTheyNeedEachOnce) {
  const Archive archive = build({"beta", "alpha", "beta"});
  EXPECT_EQ(archive.members.at("etc/husk/modules").data,
            "/lib/husk/gamma_ray.ko\n/lib/husk/beta.ko\n/lib/husk/alpha.ko\n");
  EXPECT_EQ(archive.members.at("lib/husk/alpha.ko").data, "contents of kernel/a/alpha.ko");
  EXPECT_FALSE(archive.members.contains("lib/husk/delta-wave.ko"));
}

TEST_F(InitramfsTest, WhatAModuleWishesForComesBeforeItWhereItIs) {
  file("modules.softdep",
       "# a comment\n"
       "softdep beta pre: wave-sum no-such-thing post: alpha\n"
       "softdep gamma-ray ignored pre: built_in_one\n"
       "softdep\n");
  file("modules.alias",
       "alias wave-sum delta_wave\n"
       "alias pci:v*d* alpha\n"
       "alias wave-sum epsilon\n");
  EXPECT_EQ(build({"beta"}).members.at("etc/husk/modules").data,
            "/lib/husk/delta-wave.ko\n/lib/husk/gamma_ray.ko\n/lib/husk/beta.ko\n");
}

TEST_F(InitramfsTest, WishesThatGoInACircleEnd) {
  file("modules.softdep", "softdep beta pre: alpha\nsoftdep alpha pre: beta\n");
  const std::string modules = build({"beta"}).members.at("etc/husk/modules").data;
  EXPECT_THAT(modules, HasSubstr("alpha.ko\n"));
  EXPECT_THAT(modules, HasSubstr("beta.ko\n"));
}

TEST_F(InitramfsTest, ADashInAFileNameIsAnUnderscoreInTheModules) {
  const Archive archive = build({"delta_wave"});
  EXPECT_EQ(archive.members.at("etc/husk/modules").data, "/lib/husk/delta-wave.ko\n");
}

TEST_F(InitramfsTest, WhatIsBuiltIntoTheKernelIsLeftOut) {
  const Archive archive = build({"built_in_one"});
  EXPECT_EQ(archive.members.at("etc/husk/modules").data, "");
}

TEST_F(InitramfsTest, NamesTheModuleThatTheKernelHasNot) {
  const auto built = build_initramfs(root, {"alpha", "epsilon"});
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(built.error().message(), HasSubstr("epsilon"));
}

TEST_F(InitramfsTest, FailsForAModuleWhoseFileIsMissing) {
  std::filesystem::remove(root + "/kernel/c/gamma_ray.ko");
  const auto built = build_initramfs(root, {"alpha"});
  ASSERT_FALSE(built);
  EXPECT_THAT(built.error().message(), HasSubstr("gamma_ray.ko"));
}

TEST_F(InitramfsTest, FailsWithoutAnIndex) {
  std::filesystem::remove(root + "/modules.builtin");
  EXPECT_FALSE(build_initramfs(root, {}));
  std::filesystem::remove(root + "/modules.dep");
  EXPECT_FALSE(build_initramfs(root, {}));
  EXPECT_FALSE(build_initramfs(root + "/nowhere", {}));
}

constexpr std::string_view kMarker = "~Module signature appended~\n";

std::string signature_info(uint32_t length) {
  std::string info(8, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) info += static_cast<char>(length >> shift);
  return info;
}

TEST_F(InitramfsTest, ASignatureIsTakenOff) {
  const std::string signature(300, 's');
  file("kernel/d/delta-wave.ko",
       "the module" + signature + signature_info(300) + std::string(kMarker));
  EXPECT_EQ(delta_in_archive(), "the module");
}

TEST_F(InitramfsTest, WhatOnlyLooksLikeASignatureStays) {
  const std::string too_long = "module" + signature_info(7) + std::string(kMarker);
  const std::string all = "module" + signature_info(6) + std::string(kMarker);
  const std::string huge = "module" + signature_info(0x01000001) + std::string(kMarker);
  const std::string elsewhere = "module" + signature_info(1) + std::string(kMarker) + "more";
  for (const std::string& text :
       {too_long, huge, elsewhere, std::string(kMarker), "short" + std::string(kMarker)}) {
    file("kernel/d/delta-wave.ko", text);
    EXPECT_EQ(delta_in_archive(), text);
  }
  file("kernel/d/delta-wave.ko", all);
  EXPECT_EQ(delta_in_archive(), "");
}

}  // namespace
}  // namespace husk::agent
