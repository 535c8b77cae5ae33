#include "oci/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/checked.h"
#include "base/try.h"
#include "oci/archive_reader.h"
#include "oci/entry_path.h"

namespace husk::oci {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kWhiteoutMeta =
    ".wh..wh.";  // AUFS's own files; only the next one means anything
constexpr std::string_view kOpaque = ".wh..wh..opq";

class LayerReader {
 public:
  LayerReader(ArchiveReader& reader, Spool& spool, Budget& left, const std::string& label)
      : reader_(reader), spool_(spool), left_(left), label_(label) {}

  Result<Layer> run() {
    while (archive_entry* raw = HUSK_TRY(reader_.next())) {
      auto entry = read_tar_entry(raw);
      if (!entry) return refuse(entry.error().kind, entry.error().subject, entry.error().why);
      HUSK_TRY(charge(*entry));
      HUSK_TRY(take(std::move(*entry)));
    }
    return std::move(layer_);
  }

 private:
  [[nodiscard]] std::unexpected<Error> refuse(ErrorKind kind, const std::string& name,
                                              const std::string& why) const {
    return fail(kind, label_ + ": " + name, why);
  }

  Result<void> charge(const TarEntry& entry) {
    const std::string name = printable(entry.path);
    if (left_.entries == 0)
      return refuse(ErrorKind::kLimit, name, "the image has too many entries");
    --left_.entries;
    const uint64_t bytes = metadata_bytes(entry);
    if (bytes > left_.metadata_bytes)
      return refuse(ErrorKind::kLimit, name, "the image's names and attributes are too large");
    left_.metadata_bytes -= bytes;
    return {};
  }

  Result<void> take(TarEntry entry) {
    const std::string_view name = base_name(entry.path);
    if (const auto hidden = marked_parent(entry.path)) {
      if (hidden->starts_with(kWhiteoutMeta)) return {};
      return refuse(ErrorKind::kCorrupt, printable(entry.path), "a file below a whiteout");
    }
    if (name == kOpaque) {
      layer_.emptied.emplace_back(parent_path(entry.path));
      return {};
    }
    if (name.starts_with(kWhiteoutMeta)) return {};
    if (name.starts_with(kWhiteout)) return take_whiteout(entry.path);
    if (!entry.is_hard_link && entry.inode.type == FileType::kRegular)
      HUSK_TRY(take_content(entry));
    layer_.entries.push_back(std::move(entry));
    return {};
  }

  // The first directory of the path with a whiteout's name: no real file can be below one.
  [[nodiscard]] static std::optional<std::string_view> marked_parent(std::string_view path) {
    for (path = parent_path(path); !path.empty();) {
      const std::string_view first = path.substr(0, path.find('/'));
      if (first.starts_with(kWhiteout)) return first;
      path.remove_prefix(std::min(first.size() + 1, path.size()));
    }
    return std::nullopt;
  }

  Result<void> take_whiteout(const std::string& path) {
    std::string removed(parent_path(path));
    const std::string_view name = base_name(path).substr(kWhiteout.size());
    if (name.empty() || name == "." || name == "..")
      return refuse(ErrorKind::kCorrupt, printable(path), "a whiteout that names no file");
    if (!removed.empty()) removed += '/';
    removed += name;
    layer_.removed.push_back(std::move(removed));
    return {};
  }

  Result<void> take_content(TarEntry& entry) {
    if (entry.size > left_.file_bytes)
      return refuse(ErrorKind::kLimit, printable(entry.path), "the image's files exceed the limit");
    left_.file_bytes -= entry.size;
    entry.inode.content = HUSK_TRY(spool_.reserve(entry.size));
    uint64_t next = 0;  // pieces come in order and do not overlap
    while (const auto piece = HUSK_TRY(reader_.next_piece())) {
      if (piece->data.empty()) continue;
      if (piece->offset < next || !base::in_bounds(piece->offset, piece->data.size(), entry.size))
        return refuse(ErrorKind::kCorrupt, printable(entry.path), "a malformed sparse file");
      HUSK_TRY(spool_.write(entry.inode.content.offset + piece->offset, piece->data));
      next = piece->offset + piece->data.size();
    }
    return {};
  }

  ArchiveReader& reader_;
  Spool& spool_;
  Budget& left_;
  const std::string& label_;
  Layer layer_;
};

Result<void> apply_entry(TarEntry entry, Tree& tree) {
  if (entry.is_hard_link) return tree.link(entry.path, entry.link_target);
  return tree.put(entry.path, std::move(entry.inode));
}

}  // namespace

Result<Layer> read_layer(ByteSource& tar, Spool& spool, Budget& left, const std::string& label) {
  auto reader = HUSK_TRY(ArchiveReader::open(tar, ArchiveReader::Content::kTar, label));
  return LayerReader(*reader, spool, left, label).run();
}

Result<void> apply_layer(Layer layer, Tree& tree, const std::string& label) {
  for (const std::string& path : layer.emptied) tree.clear(path);
  for (const std::string& path : layer.removed) tree.remove(path);
  for (TarEntry& entry : layer.entries) {
    const std::string name = fmt::format("{}: {}", label, printable(entry.path));
    auto applied = apply_entry(std::move(entry), tree);
    if (!applied) return fail(applied.error().kind, name, applied.error().why);
  }
  return {};
}

}  // namespace husk::oci
