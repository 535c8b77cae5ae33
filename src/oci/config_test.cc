#include "oci/config.h"

#include <gmock/gmock.h>

#include "oci/limits.h"

namespace husk::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string with_rootfs(const std::string& members) {
  return R"({"rootfs":{"type":"layers","diff_ids":[]})" + members + "}";
}

TEST(ImageConfig, KeepsEveryField) {
  const auto parsed = parse_config(with_rootfs(R"(,"architecture":"arm64","os":"linux","config":{
    "Entrypoint":["/init","-x"],"Cmd":["run"],"Env":["A=1","PATH=/bin"],"WorkingDir":"/srv",
    "User":"web:www","StopSignal":"SIGQUIT","Labels":{"k":"v"},"ExposedPorts":{"80/tcp":{}},
    "Volumes":{"/b":{},"/a":{}}})"),
                                   "config");
  ASSERT_TRUE(parsed) << parsed.error().message();
  const image::ImageConfig& config = parsed->config;
  EXPECT_EQ(config.architecture, "arm64");
  EXPECT_EQ(config.os, "linux");
  EXPECT_THAT(config.entrypoint, ElementsAre("/init", "-x"));
  EXPECT_THAT(config.cmd, ElementsAre("run"));
  EXPECT_THAT(config.env, ElementsAre("A=1", "PATH=/bin"));
  EXPECT_EQ(config.working_dir, "/srv");
  EXPECT_EQ(config.user, "web:www");
  EXPECT_EQ(config.stop_signal, "SIGQUIT");
  EXPECT_EQ(config.labels.at("k"), "v");
  EXPECT_THAT(config.volumes, ElementsAre("/a", "/b"));
}

TEST(ImageConfig, NullIsAbsent) {
  const auto parsed = parse_config(
      with_rootfs(R"(,"config":{"Entrypoint":null,"Cmd":null,"Volumes":null,"Labels":null})"),
      "config");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->config, image::ImageConfig{});
  EXPECT_TRUE(parse_config(with_rootfs(R"(,"config":null)"), "config"));
}

TEST(ImageConfig, RefusesWrongTypesAndNamesThem) {
  for (const char* field :
       {"Entrypoint", "Cmd", "Env", "WorkingDir", "User", "StopSignal", "Labels", "Volumes"}) {
    const auto parsed =
        parse_config(with_rootfs(R"(,"config":{")" + std::string(field) + "\":7}"), "config");
    ASSERT_FALSE(parsed) << field;
    EXPECT_THAT(parsed.error().message(), HasSubstr(field));
  }
  EXPECT_FALSE(parse_config(with_rootfs(R"(,"config":{"Volumes":{"relative":{}}})"), "config"));
  EXPECT_FALSE(parse_config(with_rootfs(R"(,"config":{"Labels":{"a":1}})"), "config"));
  EXPECT_FALSE(parse_config(with_rootfs(R"(,"config":[])"), "config"));
}

TEST(ImageConfig, NeedsARootfs) {
  EXPECT_FALSE(parse_config("{}", "config"));
  EXPECT_FALSE(parse_config("[]", "config"));
  EXPECT_FALSE(parse_config(R"({"rootfs":{"type":"base","diff_ids":[]}})", "config"));
  EXPECT_FALSE(parse_config(R"({"rootfs":{"type":"layers","diff_ids":["sha256:1"]}})", "config"));
  std::string many = R"({"rootfs":{"type":"layers","diff_ids":[)";
  for (size_t i = 0; i <= kMaxLayers; ++i) many += "\"" + digest_of("").text() + "\",";
  many.back() = ']';
  EXPECT_EQ(parse_config(many + "}}", "config").error().kind, ErrorKind::kLimit);
}

}  // namespace
}  // namespace husk::oci
