#include "oci/erofs_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/crc32c.h"
#include "oci/mount_points.h"
#include "oci/testing/erofs_reader.h"
#include "oci/testing/temp_directory.h"

namespace husk::oci {
namespace {

using testing::ErofsReader;
using ::testing::HasSubstr;

constexpr std::array<uint8_t, 16> kUuid{1, 2, 3};

TEST(Crc32c, GivesTheStandardsCheckValue) {
  EXPECT_EQ(~crc32c(~0U, "123456789"), 0xe3069283U);  // RFC 3720's CRC, usual check string
}

class ErofsTest : public ::testing::Test {
 protected:
  ErofsTest() { tree_.put("", directory()).value(); }

  static Inode directory() { return {}; }
  Inode file(const std::string& content) {
    Inode inode;
    inode.type = FileType::kRegular;
    inode.content = spool_.reserve(content.size()).value();
    EXPECT_TRUE(spool_.write(inode.content.offset, std::as_bytes(std::span(content))));
    return inode;
  }
  static Inode special(FileType type) {
    Inode inode;
    inode.type = type;
    return inode;
  }
  void put(const std::string& path, Inode inode) { ASSERT_TRUE(tree_.put(path, std::move(inode))); }

  std::string image() {
    const base::Fd fd(::memfd_create("image", MFD_CLOEXEC));
    const auto written = write_root_image(tree_, spool_, kUuid, fd.get(), "image");
    EXPECT_TRUE(written) << written.error().message();
    EXPECT_TRUE(check_root_image(fd.get(), "image"));
    struct stat st{};
    ::fstat(fd.get(), &st);
    std::string bytes(static_cast<size_t>(st.st_size), '\0');
    EXPECT_TRUE(base::read_exact(fd.get(), std::as_writable_bytes(std::span(bytes)), 0, "image"));
    return bytes;
  }

  Spool spool_{base::Fd(::memfd_create("spool", MFD_CLOEXEC)), "spool"};
  Tree tree_{100000};
};

TEST_F(ErofsTest, AnEmptyTreeIsOneBlock) {
  const std::string bytes = image();
  EXPECT_EQ(bytes.size(), 4096U);
  const ErofsReader reader(bytes);
  EXPECT_EQ(reader.files().at("").mode, S_IFDIR | 0755U);
  EXPECT_EQ(reader.files().at("").nlink, 2U);
  EXPECT_EQ(reader.super().root_nid, 36);
  EXPECT_EQ(reader.super().inode_count, 1U);
  EXPECT_EQ(reader.super().uuid[2], 3);
  EXPECT_EQ(reader.super().feature_incompat, 0U);
}

TEST_F(ErofsTest, ContentsOfEverySizeComeBack) {
  std::map<std::string, std::string> contents;
  for (const size_t size : {0, 1, 31, 100, 4000, 4031, 4032, 4033, 4064, 4065, 4095, 4096, 4097,
                            8192, 12288, 100000, 1 << 20, (1 << 20) + 4090, 3000001}) {
    std::string content(size, '\0');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>('a' + (i * 7 + i / 4096) % 26);
    const std::string name = "f" + std::to_string(size);
    put(name, file(content));
    contents[name] = content;
  }
  const ErofsReader reader(image());
  for (const auto& [name, content] : contents)
    EXPECT_TRUE(reader.files().at(name).content == content) << name;
}

TEST_F(ErofsTest, DirectoriesOfEverySizeAreSorted) {
  put("!first", file("sorts before the dots"));
  for (int i = 0; i < 3000; ++i)
    put("big/" + std::string(i % 250, 'n') + std::to_string(i), file(""));
  for (int i = 0; i < 40; ++i)
    put("d" + std::to_string(i) + "/" + std::string(i * 6 + 1, 'x'), directory());
  put("hi\xff\x80", file(""));
  const ErofsReader reader(image());  // checks order, ".", ".." and types
  EXPECT_EQ(reader.files().size(), 1 + 1 + 1 + 3000 + 80 + 1U);
  EXPECT_EQ(reader.files().at("").nlink, 2 + 41U);
  EXPECT_EQ(reader.files().at("d1").nlink, 3U);
}

TEST_F(ErofsTest, SpecialFilesAndLinks) {
  Inode tty = special(FileType::kCharDevice);
  tty.device_major = 0x123;
  tty.device_minor = 0x45678;
  put("dev/tty", tty);
  Inode disk = special(FileType::kBlockDevice);
  disk.device_major = 8;
  disk.device_minor = 1;
  put("dev/disk", disk);
  put("dev/pipe", special(FileType::kFifo));
  Inode link = special(FileType::kSymlink);
  link.target = std::string(4000, 't');
  put("link", link);
  put("a", file("shared"));
  ASSERT_TRUE(tree_.link("b/c", "a"));
  ASSERT_TRUE(tree_.link("b/tty", "dev/tty"));

  const ErofsReader reader(image());
  const auto& files = reader.files();
  EXPECT_EQ(files.at("dev/tty").mode & S_IFMT, S_IFCHR + 0U);
  EXPECT_EQ(files.at("dev/tty").device,
            0x45612378U);  // new_encode_dev(): minor's low byte is lowest
  EXPECT_EQ(files.at("dev/disk").device, 0x801U);
  EXPECT_EQ(files.at("dev/disk").mode & S_IFMT, S_IFBLK + 0U);
  EXPECT_EQ(files.at("dev/pipe").mode & S_IFMT, S_IFIFO + 0U);
  EXPECT_EQ(files.at("link").content, link.target);
  EXPECT_EQ(files.at("a").nid, files.at("b/c").nid);
  EXPECT_EQ(files.at("a").nlink, 2U);
  EXPECT_EQ(files.at("b/tty").nid, files.at("dev/tty").nid);
}

TEST_F(ErofsTest, WideAttributesNeedTheExtendedInode) {
  for (const int i : {1, 2, 3}) {
    Inode common = file("");
    common.attributes.mtime = {1000, 5};
    put("c" + std::to_string(i), common);
  }
  Inode owner = file("");
  owner.attributes.mtime = {1000, 5};
  owner.attributes.uid = 65536;
  put("owner", owner);
  Inode time = file("");
  time.attributes.mtime = {-1, 999999999};
  time.attributes.permissions = 06755;
  put("time", time);
  const ErofsReader reader(image());
  EXPECT_FALSE(reader.files().at("c1").extended);
  EXPECT_EQ(reader.files().at("c1").mtime, 1000U);
  EXPECT_EQ(reader.files().at("c1").mtime_nsec, 5U);
  EXPECT_TRUE(reader.files().at("owner").extended);
  EXPECT_EQ(reader.files().at("owner").uid, 65536U);
  EXPECT_EQ(static_cast<int64_t>(reader.files().at("time").mtime), -1);
  EXPECT_EQ(reader.files().at("time").mtime_nsec, 999999999U);
  EXPECT_EQ(reader.files().at("time").mode, S_IFREG | 06755U);
}

TEST_F(ErofsTest, ManyNamesOfOneFileNeedTheExtendedInode) {
  put("a", file("x"));
  for (int i = 0; i < 65600; ++i) ASSERT_TRUE(tree_.link("d/" + std::to_string(i), "a"));
  const ErofsReader reader(image());
  EXPECT_EQ(reader.files().at("a").nlink, 65601U);
}

TEST_F(ErofsTest, ExtendedAttributesComeBack) {
  Inode small = file("data");
  small.attributes.xattrs = {{"security.capability", std::string("\0\1\2", 3)},
                             {"system.posix_acl_access", "acl"},
                             {"user.empty", ""}};
  put("small", small);
  Inode large = file(std::string(5000, 'd'));  // its tail fits no block beside these
  large.attributes.xattrs = {{"trusted.a", std::string(65535, 'v')},
                             {"trusted.b", std::string(60000, 'w')}};
  put("large", large);
  Inode root = directory();
  root.attributes.xattrs = {{"user.big", std::string(9000, 'r')}};
  put("", root);
  const ErofsReader reader(image());
  for (const auto& [path, inode] : {std::pair("small", &small), {"large", &large}, {"", &root}})
    for (const Xattr& xattr : inode->attributes.xattrs)
      EXPECT_TRUE(reader.files().at(path).xattrs.at(xattr.name) == xattr.value)
          << path << xattr.name;
  EXPECT_EQ(reader.files().at("large").content, std::string(5000, 'd'));
}

TEST_F(ErofsTest, HolesStayHoles) {
  Inode sparse = special(FileType::kRegular);
  sparse.content = spool_.reserve(uint64_t{1} << 30).value();
  const std::string end = "end";
  ASSERT_TRUE(spool_.write(sparse.content.offset + sparse.content.size - 5000,
                           std::as_bytes(std::span(end))));
  put("sparse", sparse);
  Inode empty = special(FileType::kRegular);
  empty.content = spool_.reserve(uint64_t{1} << 30).value();
  put("nothing but a hole", empty);
  const base::Fd fd(::memfd_create("image", MFD_CLOEXEC));
  ASSERT_TRUE(write_root_image(tree_, spool_, kUuid, fd.get(), "image"));
  struct stat st{};
  ASSERT_EQ(::fstat(fd.get(), &st), 0);
  EXPECT_GT(st.st_size, 1 << 30);
  EXPECT_LT(st.st_blocks * 512, 1 << 20);
}

TEST_F(ErofsTest, TheSameTreeGivesTheSameBytes) {
  put("b", file("2"));
  put("a/x", file(std::string(10000, 'x')));
  const std::string first = image();
  EXPECT_TRUE(first == image());
  Tree other(100);
  other.put("", directory()).value();
  other.put("a/x", tree_.inode(*tree_.find("a/x"))).value();  // built in another order
  other.put("b", tree_.inode(*tree_.find("b"))).value();
  tree_ = std::move(other);
  EXPECT_TRUE(first == image());
}

TEST_F(ErofsTest, IncompleteImagesAreRecognised) {
  put("a", file(std::string(10000, 'x')));
  const std::string whole = image();
  const auto check = [](const std::string& bytes) {
    const base::Fd fd(::memfd_create("image", MFD_CLOEXEC));
    EXPECT_TRUE(base::write_exact(fd.get(), std::as_bytes(std::span(bytes)), 0, "image"));
    return check_root_image(fd.get(), "image").has_value();
  };
  EXPECT_TRUE(check(whole));
  EXPECT_FALSE(check(whole.substr(0, whole.size() - 4096)));
  EXPECT_FALSE(check(whole + std::string(4096, '\0')));
  EXPECT_FALSE(check(""));
  EXPECT_FALSE(check(std::string(whole.size(), '\0')));
  std::string flipped = whole;
  flipped[2000] ^= 1;
  EXPECT_FALSE(check(flipped));
}

TEST_F(ErofsTest, ErrorsNameTheImage) {
  put("a", file(std::string(100000, 'x')));
  const base::Fd sealed(::memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
  EXPECT_THAT(write_root_image(tree_, spool_, kUuid, sealed.get(), "the image").error().message(),
              HasSubstr("the image: cannot write"));
}

TEST_F(ErofsTest, MountPointsAreAddedWhereNothingIs) {
  Inode link = special(FileType::kSymlink);
  link.target = "/var/tmp";
  put("tmp", link);
  put("etc/hosts", file("mine"));
  ASSERT_TRUE(add_mount_points(tree_));
  const ErofsReader reader(image());
  const auto& files = reader.files();
  for (const char* path : {"dev", "etc", "proc", "run", "sys"})
    EXPECT_EQ(files.at(path).mode, S_IFDIR | 0755U);
  EXPECT_EQ(files.at("tmp").content, "/var/tmp");
  EXPECT_EQ(files.at("etc/hosts").content, "mine");
  EXPECT_EQ(files.at("etc/hostname").content, "");
  EXPECT_EQ(files.at("etc/resolv.conf").mode, S_IFREG | 0644U);

  Tree bare(100);
  ASSERT_TRUE(add_mount_points(bare));
  EXPECT_EQ(bare.inode(*bare.find("tmp")).attributes.permissions, 01777);
  Tree odd(100);
  ASSERT_TRUE(odd.put("etc", special(FileType::kFifo)));
  ASSERT_TRUE(add_mount_points(odd));
  EXPECT_EQ(odd.inode(*odd.find("etc")).type, FileType::kFifo);
}

}  // namespace
}  // namespace husk::oci
