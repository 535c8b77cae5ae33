#include "oci/erofs_directory.h"

#include <algorithm>

#include "oci/erofs_format.h"

namespace husk::oci::erofs {
namespace {

uint64_t entry_size(const DirectoryEntry& entry) { return sizeof(Dirent) + entry.name.size(); }

// Calls visit(first, last, bytes) for the entries of each block.
template <class Visit>
void for_each_block(const std::vector<DirectoryEntry>& entries, Visit visit) {
  for (size_t first = 0; first < entries.size();) {
    uint64_t bytes = 0;
    size_t last = first;
    while (last < entries.size() && bytes + entry_size(entries[last]) <= kBlockSize)
      bytes += entry_size(entries[last++]);
    visit(first, last, bytes);
    first = last;
  }
}

void append_block(const std::vector<DirectoryEntry>& entries, size_t first, size_t last,
                  std::string& out) {
  uint64_t name_offset = (last - first) * sizeof(Dirent);
  for (size_t i = first; i < last; ++i) {
    append(out, Dirent{entries[i].nid, static_cast<uint16_t>(name_offset),
                       static_cast<uint8_t>(entries[i].type), 0});
    name_offset += entries[i].name.size();
  }
  for (size_t i = first; i < last; ++i) out += entries[i].name;
}

}  // namespace

std::vector<DirectoryEntry> sorted_entries(const Inode& directory) {
  std::vector<DirectoryEntry> entries{{".", 0, FileType::kDirectory},
                                      {"..", 0, FileType::kDirectory}};
  for (const auto& [name, id] : directory.children)
    entries.push_back({name, 0, FileType::kRegular});
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

uint64_t directory_size(const std::vector<DirectoryEntry>& entries) {
  uint64_t size = 0;
  for_each_block(entries, [&](size_t, size_t last, uint64_t bytes) {
    size += last == entries.size() ? bytes : kBlockSize;
  });
  return size;
}

std::string encode_directory(const std::vector<DirectoryEntry>& entries) {
  std::string out;
  for_each_block(entries, [&](size_t first, size_t last, uint64_t) {
    append_block(entries, first, last, out);
    if (last != entries.size()) out.resize((out.size() + kBlockSize - 1) / kBlockSize * kBlockSize);
  });
  return out;
}

}  // namespace husk::oci::erofs
