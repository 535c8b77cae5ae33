#include "oci/reference.h"

#include <gmock/gmock.h>

namespace husk::oci {
namespace {

using ::testing::HasSubstr;

TEST(Reference, NamesATransportAPathAndAnImage) {
  const auto plain = parse_reference("oci:images/web");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->transport, Transport::kOci);
  EXPECT_EQ(plain->path, "images/web");
  EXPECT_EQ(plain->name, "");

  const auto tagged = parse_reference("oci-archive:a.tar:eco/busybox:v2");
  ASSERT_TRUE(tagged);
  EXPECT_EQ(tagged->transport, Transport::kOciArchive);
  EXPECT_EQ(tagged->path, "a.tar");
  EXPECT_EQ(tagged->name, "eco/busybox:v2");

  const auto indexed = parse_reference("docker-archive:/a b.tar:@12");
  ASSERT_TRUE(indexed);
  EXPECT_EQ(indexed->transport, Transport::kDockerArchive);
  EXPECT_EQ(indexed->path, "/a b.tar");
  EXPECT_EQ(indexed->name, "@12");
}

TEST(Reference, RefusalsNameTheTextAndTheForms) {
  for (const char* text :
       {"busybox", "docker://busybox", "oci", "oci:", "oci::tag", "oci:dir:", "dir:x", "OCI:x",
        "oci:dir:ta g", "oci:dir:tag\n", "docker-archive:a:x@sha256:00", "docker-archive:a:@",
        "docker-archive:a:@x", "docker-archive:a:@1234567"}) {
    const auto parsed = parse_reference(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(parsed.error().message(), HasSubstr(text));
    EXPECT_THAT(parsed.error().message(), HasSubstr("docker-archive:FILE[:NAME:TAG]"));
  }
  EXPECT_THAT(parse_reference("").error().message(), HasSubstr("oci:DIR[:TAG]"));
}

TEST(ImageName, ShortFormsEqualTheFullOne) {
  for (const char* name : {"busybox", "busybox:latest", "library/busybox", "docker.io/busybox",
                           "index.docker.io/library/busybox:latest"})
    EXPECT_EQ(normalize_image_name(name), "docker.io/library/busybox:latest") << name;
  EXPECT_EQ(normalize_image_name("eco/busybox:v2"), "docker.io/eco/busybox:v2");
  EXPECT_EQ(normalize_image_name("localhost:5000/a/b"), "localhost:5000/a/b:latest");
  EXPECT_EQ(normalize_image_name("localhost/a"), "localhost/a:latest");
}

}  // namespace
}  // namespace husk::oci
