#include "runtime/hypervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/backend.h"

namespace husk::runtime {
namespace {

TEST(Backends, AreNamedOnceAndBehindAuto) {
  const std::vector<std::string> names = backend_names();
  ASSERT_EQ(names.size(), backends().size() + 1);
  EXPECT_EQ(names.front(), "auto");
  for (size_t i = 0; i < backends().size(); ++i) EXPECT_EQ(names[i + 1], backends()[i]->name);
  const std::set<std::string> unique(names.begin(), names.end());
  EXPECT_EQ(unique.size(), names.size());
}

TEST(Backends, OpenByNameWhereTheyAreUsable) {
  for (const Backend* backend : backends()) {
    const auto probed = backend->probe();
    const auto opened = open_hypervisor(backend->name);
    if (!probed) continue;  // one that would not be chosen may still be opened by who insists
    ASSERT_TRUE(opened) << backend->name << ": " << opened.error().message();
    EXPECT_FALSE(probed->empty()) << backend->name;
    EXPECT_FALSE((*opened)->capabilities().supported_archs.empty()) << backend->name;
  }
}

TEST(Backends, HaveAUsualProcessorThatTheyCanShow) {
  for (const Backend* backend : backends()) {
    if (!backend->probe()) continue;
    const auto usual = usual_cpu_model(backend->name);
    ASSERT_TRUE(usual) << backend->name << ": " << usual.error().message();
    EXPECT_TRUE(backend->can_show(*usual)) << backend->name;
  }
  EXPECT_FALSE(usual_cpu_model("abacus"));
}

TEST(Backends, UnknownNameIsRefused) {
  const auto opened = open_hypervisor("abacus");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(opened.error().message(), "abacus: no such backend");
}

TEST(Backends, AutoOpensTheFirstThatWorksOrSaysWhyNoneDoes) {
  const auto works = [](const Backend* backend) { return backend->probe().has_value(); };
  const auto opened = open_hypervisor("auto");
  ASSERT_EQ(opened.has_value(), std::ranges::any_of(backends(), works));
  if (opened) return;
  EXPECT_EQ(opened.error().kind, ErrorKind::kUnsupported);
  EXPECT_FALSE(opened.error().why.empty());
}

}  // namespace
}  // namespace husk::runtime
