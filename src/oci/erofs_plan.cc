#include "oci/erofs_plan.h"

#include <limits>
#include <map>

#include "base/try.h"
#include "oci/erofs_directory.h"
#include "oci/slot_allocator.h"

namespace husk::oci::erofs {
namespace {

constexpr uint32_t kUnplanned = std::numeric_limits<uint32_t>::max();

uint64_t data_size(const Inode& inode) {
  switch (inode.type) {
    case FileType::kRegular:
      return inode.content.size;
    case FileType::kDirectory:
      return directory_size(sorted_entries(inode));
    case FileType::kSymlink:
      return inode.target.size();
    default:
      return 0;
  }
}

bool fits_compact(const Inode& inode, const PlannedInode& planned, const Timestamp& build_time) {
  constexpr uint32_t kMax16 = std::numeric_limits<uint16_t>::max();
  return inode.attributes.uid <= kMax16 && inode.attributes.gid <= kMax16 &&
         planned.nlink <= kMax16 && planned.size <= std::numeric_limits<uint32_t>::max() &&
         inode.attributes.mtime == build_time;
}

class Planner {
 public:
  explicit Planner(const Tree& tree) : tree_(tree) {}

  Result<Plan> run() {
    enumerate();
    plan_.build_time = most_frequent_time();
    SlotAllocator slots(kSuperOffset + sizeof(SuperBlock));
    for (PlannedInode& planned : plan_.inodes) place_record(planned, slots);
    HUSK_TRY(place_data(slots.blocks()));
    return std::move(plan_);
  }

 private:
  // The list is its own queue. The root comes first, so that its 16-bit number in the superblock
  // suffices.
  void enumerate() {
    visit(tree_.root(), 0);
    plan_.inodes[0].nlink = 2;  // "." and, being its own parent, ".."
    for (uint32_t i = 0; i < plan_.inodes.size(); ++i)
      for (const auto& [name, child] : tree_.inode(plan_.inodes[i].id).children) visit(child, i);
  }

  void visit(InodeId id, uint32_t parent) {
    if (plan_.index_of.size() <= id) plan_.index_of.resize(id + size_t{1}, kUnplanned);
    const bool is_directory = tree_.inode(id).type == FileType::kDirectory;
    if (plan_.index_of[id] == kUnplanned) {
      plan_.index_of[id] = static_cast<uint32_t>(plan_.inodes.size());
      plan_.inodes.push_back({.id = id, .parent = parent});
    }
    PlannedInode& planned = plan_.inodes[plan_.index_of[id]];
    planned.nlink += is_directory ? 2 : 1;
    if (is_directory) ++plan_.inodes[parent].nlink;
  }

  Timestamp most_frequent_time() const {
    std::map<Timestamp, uint32_t> counts;
    for (const PlannedInode& planned : plan_.inodes)
      ++counts[tree_.inode(planned.id).attributes.mtime];
    const auto* best = &*counts.begin();
    for (const auto& count : counts)
      if (count.second > best->second) best = &count;
    return best->first;
  }

  void place_record(PlannedInode& planned, SlotAllocator& slots) {
    const Inode& inode = tree_.inode(planned.id);
    planned.size = data_size(inode);
    planned.xattr_size = encoded_size(inode.attributes.xattrs);
    planned.extended = !fits_compact(inode, planned, plan_.build_time);
    const uint64_t head = planned.core_size() + planned.xattr_size;
    const uint64_t tail = planned.size % kBlockSize;
    if (tail != 0 && head + tail <= kBlockSize) planned.layout = Layout::kFlatInline;
    planned.offset = slots.place(head + planned.tail());
  }

  Result<void> place_data(uint64_t next_block) {
    for (PlannedInode& planned : plan_.inodes) {
      planned.block = static_cast<uint32_t>(next_block);
      next_block += planned.blocks();
      if (next_block > std::numeric_limits<uint32_t>::max())
        return fail(ErrorKind::kLimit, "image", "too large for a root image (16 TiB)");
    }
    plan_.total_blocks = static_cast<uint32_t>(next_block);
    return {};
  }

  const Tree& tree_;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const Tree& tree) { return Planner(tree).run(); }

}  // namespace husk::oci::erofs
