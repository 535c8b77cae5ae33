// Writes a flattened device tree (Devicetree Specification 0.4, chapter 5) node by node, over
// libfdt. The first error is kept and finish() tells it; what comes after it does nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

namespace husk::boot::arm64 {

class TreeWriter {
 public:
  // Room for the tree and nothing more.
  explicit TreeWriter(size_t capacity);

  // The root's name is empty. Properties come before a node's own nodes.
  void begin_node(const std::string& name);
  void end_node();

  void flag(const char* name) { bytes(name, {}); }
  void cell(const char* name, uint32_t value) { cells(name, {value}); }
  void cells(const char* name, std::initializer_list<uint32_t> values);
  void quad(const char* name, uint64_t value) { quads(name, {value}); }
  // 64-bit numbers: addresses and sizes where both have two cells.
  void quads(const char* name, std::initializer_list<uint64_t> values);
  void quads(const char* name, std::span<const uint64_t> values);
  // NULs in the text divide it into a list of strings; one is put after it.
  void text(const char* name, std::string_view value);
  void bytes(const char* name, std::span<const std::byte> value);

  // Once. `subject` goes into the error.
  [[nodiscard]] Result<std::vector<std::byte>> finish(const std::string& subject);

 private:
  void note(int result) {
    if (error_ == 0) error_ = result;
  }
  std::vector<std::byte> buffer_;
  int error_ = 0;
};

}  // namespace husk::boot::arm64
