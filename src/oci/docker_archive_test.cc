#include "oci/docker_archive.h"

#include <gmock/gmock.h>

namespace husk::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTwoImages = R"([
  {"Config":"a.json","RepoTags":["docker.io/library/busybox:latest"],"Layers":["./x/layer.tar","y.tar"]},
  {"Config":"blobs/sha256/b","RepoTags":["eco/app:v1","eco/app:v2"],"Layers":[]}])";

std::vector<DockerImage> two_images() { return *parse_docker_manifest(kTwoImages, "m"); }

TEST(DockerManifest, ListsItsImages) {
  const auto images = two_images();
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(images[0].config, "a.json");
  EXPECT_THAT(images[0].layers, ElementsAre("x/layer.tar", "y.tar"));
  EXPECT_THAT(images[1].tags, ElementsAre("eco/app:v1", "eco/app:v2"));
}

TEST(DockerManifest, ImagesAreFoundByNameAndIndex) {
  EXPECT_EQ(select_docker_image(two_images(), "busybox", "d")->config, "a.json");
  EXPECT_EQ(select_docker_image(two_images(), "eco/app:v2", "d")->config, "blobs/sha256/b");
  EXPECT_EQ(select_docker_image(two_images(), "@1", "d")->config, "blobs/sha256/b");
  EXPECT_EQ(select_docker_image({two_images()[1]}, "", "d")->config, "blobs/sha256/b");
}

TEST(DockerManifest, ErrorsListTheTags) {
  EXPECT_THAT(select_docker_image(two_images(), "", "d").error().message(),
              HasSubstr("eco/app:v1, eco/app:v2"));
  EXPECT_THAT(select_docker_image(two_images(), "eco/app:v3", "d").error().message(),
              HasSubstr("no image eco/app:v3"));
  EXPECT_FALSE(select_docker_image(two_images(), "@2", "d"));
  EXPECT_FALSE(select_docker_image({}, "", "d"));
}

TEST(DockerManifest, RefusesOtherDocuments) {
  for (const char* text : {"{}", "[7]", "[{}]", R"([{"Config":"../../x","Layers":[]}])",
                           R"([{"Config":"a","Layers":["/../x"]}])",
                           R"([{"Config":1,"Layers":[]}])", R"([{"Config":"a","Layers":"x"}])"})
    EXPECT_FALSE(parse_docker_manifest(text, "m")) << text;
}

}  // namespace
}  // namespace husk::oci
