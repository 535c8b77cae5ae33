#include "oci/xattr.h"

#include <array>
#include <limits>

#include "base/checked.h"
#include "oci/erofs_format.h"

namespace husk::oci {
namespace {

struct Prefix {
  std::string_view text;
  uint8_t index;
  bool whole;  // the prefix is the complete name
};

constexpr std::array<Prefix, 5> kPrefixes{{
    {"user.", 1, false},
    {"system.posix_acl_access", 2, true},
    {"system.posix_acl_default", 3, true},
    {"trusted.", 4, false},
    {"security.", 6, false},
}};

constexpr uint32_t kAlignment = sizeof(erofs::XattrEntry);
// The inode counts the header as one and every further 4 bytes as one, in 16 bits.
constexpr uint64_t kMaxEncoded = sizeof(erofs::XattrHeader) + (0xffff - 1) * uint64_t{kAlignment};

uint64_t entry_size(const Xattr& xattr, const XattrKey& key) {
  return base::align_up(sizeof(erofs::XattrEntry) + key.suffix.size() + xattr.value.size(),
                        kAlignment);
}

}  // namespace

std::optional<XattrKey> xattr_key(std::string_view name) {
  for (const Prefix& prefix : kPrefixes) {
    if (!name.starts_with(prefix.text)) continue;
    const std::string_view suffix = name.substr(prefix.text.size());
    if (suffix.empty() == prefix.whole) return XattrKey{prefix.index, suffix};
  }
  return std::nullopt;
}

bool is_kept_xattr(std::string_view name) {
  return xattr_key(name) && !name.starts_with("trusted.overlay.") &&
         !name.starts_with("user.overlay.");
}

const char* xattr_problem(const std::vector<Xattr>& xattrs) {
  uint64_t total = sizeof(erofs::XattrHeader);
  for (const Xattr& xattr : xattrs) {
    const auto key = xattr_key(xattr.name);
    if (!key) return "an extended attribute of an unknown namespace";
    if (key->suffix.size() > std::numeric_limits<uint8_t>::max())
      return "an extended attribute's name is too long";
    if (xattr.value.size() > std::numeric_limits<uint16_t>::max())
      return "an extended attribute is larger than 65535 bytes";
    total += entry_size(xattr, *key);
  }
  return total > kMaxEncoded ? "its extended attributes are too large" : nullptr;
}

uint32_t encoded_size(const std::vector<Xattr>& xattrs) {
  if (xattrs.empty()) return 0;
  uint64_t total = sizeof(erofs::XattrHeader);
  for (const Xattr& xattr : xattrs)
    if (const auto key = xattr_key(xattr.name)) total += entry_size(xattr, *key);
  return static_cast<uint32_t>(total);
}

void append_encoded(const std::vector<Xattr>& xattrs, std::string& out) {
  if (xattrs.empty()) return;
  erofs::append(out, erofs::XattrHeader{});
  for (const Xattr& xattr : xattrs) {
    const auto key = xattr_key(xattr.name);
    if (!key) continue;
    const size_t begin = out.size();
    erofs::append(out, erofs::XattrEntry{static_cast<uint8_t>(key->suffix.size()), key->index,
                                         static_cast<uint16_t>(xattr.value.size())});
    out.append(key->suffix).append(xattr.value);
    out.resize(begin + entry_size(xattr, *key));
  }
}

}  // namespace husk::oci
