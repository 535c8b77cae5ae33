#include "oci/entry_path.h"

#include <vector>

#include "oci/limits.h"

namespace husk::oci {
namespace {

constexpr size_t kPrintedLength = 200;

std::string join(const std::vector<std::string_view>& components) {
  std::string path;
  for (const std::string_view component : components) {
    if (!path.empty()) path += '/';
    path += component;
  }
  return path;
}

}  // namespace

Result<std::string> clean_entry_path(std::string_view name) {
  if (name.empty()) return fail(ErrorKind::kCorrupt, "''", "an entry without a name");
  if (name.size() > kMaxPathLength)
    return fail(ErrorKind::kLimit, printable(name), "a path longer than 4096 bytes");
  std::vector<std::string_view> components;
  while (!name.empty()) {
    const std::string_view component = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(component.size() + 1, name.size()));
    if (component.empty() || component == ".") continue;
    if (component != "..") {
      if (component.size() > kMaxNameLength)
        return fail(ErrorKind::kLimit, printable(component), "a name longer than 255 bytes");
      components.push_back(component);
    } else if (components.empty()) {
      return fail(ErrorKind::kCorrupt, "..", "the path leaves the image's root");
    } else {
      components.pop_back();
    }
  }
  return join(components);
}

std::string printable(std::string_view name) {
  std::string text(name.substr(0, kPrintedLength));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  if (name.size() > kPrintedLength) text += "...";
  return text;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view parent_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace husk::oci
