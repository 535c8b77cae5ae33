// Extended attributes of an image's files, in the names that EROFS can hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace husk::oci {

struct Xattr {
  std::string name;  // complete: "security.capability"
  std::string value;

  auto operator<=>(const Xattr&) const = default;
};

// EROFS stores a name as a number for its prefix and the rest (erofs_fs.h, EROFS_XATTR_INDEX_*).
struct XattrKey {
  uint8_t index;
  std::string_view suffix;
};
// nullopt for a name that has no number: it cannot be stored.
[[nodiscard]] std::optional<XattrKey> xattr_key(std::string_view name);

// False for names that a root image must not carry: those without a number (another system's
// namespaces) and overlayfs's own, which would steer the overlay that a guest mounts over the
// image.
[[nodiscard]] bool is_kept_xattr(std::string_view name);

// Why these cannot be stored together, or null. The limits are EROFS's field widths.
[[nodiscard]] const char* xattr_problem(const std::vector<Xattr>& xattrs);

// Bytes after the inode (erofs.rst, "xattr_ibody_header" and entries); 0 for none.
[[nodiscard]] uint32_t encoded_size(const std::vector<Xattr>& xattrs);
void append_encoded(const std::vector<Xattr>& xattrs, std::string& out);

}  // namespace husk::oci
