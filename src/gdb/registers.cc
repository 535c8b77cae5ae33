#include "gdb/registers.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

namespace husk::gdb {
namespace {

std::string element(const Register& one) {
  std::string text = fmt::format("<reg name=\"{}\" bitsize=\"{}\"", one.name, one.bits);
  if (!one.type.empty()) text += fmt::format(" type=\"{}\"", one.type);
  if (!one.group.empty()) text += fmt::format(" group=\"{}\"", one.group);
  return text + "/>\n";
}

void read_one(const Register& one, std::span<std::byte> out) {
  std::ranges::fill(out, std::byte{0});
  if (one.place.empty()) {
    std::memcpy(out.data(), &one.computed, std::min(out.size(), sizeof(one.computed)));
  } else {
    std::ranges::copy(one.place, out.begin());
  }
}

}  // namespace

Architecture describe(std::string_view name, std::span<const Feature> features,
                      std::vector<std::byte> breakpoint, std::string_view pc) {
  Architecture made{.description = {}, .offsets = {0}, .breakpoint = std::move(breakpoint)};
  made.description = fmt::format(
      "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
      "<target version=\"1.0\">\n<architecture>{}</architecture>\n",
      name);
  for (const Feature& feature : features) {
    made.description += fmt::format("<feature name=\"{}\">\n{}", feature.name, feature.types);
    for (const Register& one : feature.registers) {
      if (one.name == pc) made.pc = static_cast<uint32_t>(made.registers());
      made.description += element(one);
      made.offsets.push_back(made.offsets.back() + one.size());
    }
    made.description += "</feature>\n";
  }
  made.description += "</target>\n";
  return made;
}

Bytes read_all(std::span<const Feature> features) {
  Bytes bytes;
  for (const Feature& feature : features) {
    for (const Register& one : feature.registers) {
      const size_t at = bytes.size();
      bytes.resize(at + one.size());
      read_one(one, std::span(bytes).subspan(at));
    }
  }
  return bytes;
}

void write_all(std::span<Feature> features, std::span<const std::byte> bytes) {
  for (Feature& feature : features) {
    for (Register& one : feature.registers) {
      std::ranges::copy(bytes.first(one.place.size()), one.place.begin());
      bytes = bytes.subspan(one.size());
    }
  }
}

}  // namespace husk::gdb
