// A flattened device tree as libfdt reads it, for tests. Missing things read as empty.
#pragma once

#include <libfdt.h>

#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace husk::boot::arm64::testing {

class TreeReader {
 public:
  explicit TreeReader(std::span<const std::byte> tree) : tree_(tree.begin(), tree.end()) {}

  [[nodiscard]] bool sound() const { return fdt_check_full(tree_.data(), tree_.size()) == 0; }
  [[nodiscard]] bool has_node(const char* path) const { return find(path) >= 0; }

  [[nodiscard]] std::optional<std::string> bytes(const char* path, const char* property) const {
    int length = 0;
    const void* value = fdt_getprop(tree_.data(), find(path), property, &length);
    if (value == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(value), static_cast<size_t>(length));
  }
  // Without the NUL at its end.
  [[nodiscard]] std::string text(const char* path, const char* property) const {
    std::string value = bytes(path, property).value_or("");
    if (value.empty() || value.back() != '\0') return "not a string";
    value.pop_back();
    return value;
  }
  [[nodiscard]] std::vector<uint32_t> cells(const char* path, const char* property) const {
    return numbers<uint32_t>(path, property);
  }
  [[nodiscard]] std::vector<uint64_t> quads(const char* path, const char* property) const {
    return numbers<uint64_t>(path, property);
  }
  // In the order of the tree.
  [[nodiscard]] std::vector<std::string> children(const char* path) const {
    std::vector<std::string> names;
    for (int node = fdt_first_subnode(tree_.data(), find(path)); node >= 0;
         node = fdt_next_subnode(tree_.data(), node))
      names.emplace_back(fdt_get_name(tree_.data(), node, nullptr));
    return names;
  }
  // The path of the node with that phandle.
  [[nodiscard]] std::string node_of(uint32_t phandle) const {
    char path[256] = "";
    fdt_get_path(tree_.data(), fdt_node_offset_by_phandle(tree_.data(), phandle), path,
                 sizeof(path));
    return path;
  }

 private:
  [[nodiscard]] int find(const char* path) const { return fdt_path_offset(tree_.data(), path); }

  template <class T>
  [[nodiscard]] std::vector<T> numbers(const char* path, const char* property) const {
    const std::string value = bytes(path, property).value_or("");
    std::vector<T> all(value.size() / sizeof(T));
    std::memcpy(all.data(), value.data(), all.size() * sizeof(T));
    for (T& number : all) number = std::byteswap(number);
    return all;
  }

  std::vector<std::byte> tree_;
};

}  // namespace husk::boot::arm64::testing
