// The real kernel that HUSK_TEST_KERNEL names, for tests that want more than handmade images.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#define HUSK_REAL_KERNEL(kernel)                                                    \
  const char* kernel##_path = std::getenv("HUSK_TEST_KERNEL");                      \
  if (kernel##_path == nullptr) GTEST_SKIP() << "HUSK_TEST_KERNEL names no kernel"; \
  const auto kernel = ::husk::boot::testing::read_kernel(kernel##_path)

namespace husk::boot::testing {

inline std::vector<std::byte> read_kernel(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  EXPECT_FALSE(text.empty()) << path << " cannot be read";
  return {first, first + text.size()};
}

}  // namespace husk::boot::testing
