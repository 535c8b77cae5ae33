#include "page_table.h"

#include "cpu.h"
#include "report.h"

extern "C" uint64_t boot_pml4[512];

namespace bare {
namespace {

constexpr uint32_t kPoolPages = 512;
alignas(4096) uint8_t pool[kPoolPages][kPage];
uint32_t pool_used;

}  // namespace

uint64_t* new_page() {
  if (pool_used == kPoolPages) give_up("the guest's page pool is empty");
  return reinterpret_cast<uint64_t*>(pool[pool_used++]);
}

uint64_t* boot_tables() { return boot_pml4; }

Path path_to(uint64_t* pml4, uint64_t linear, int leaf) {
  Path path;
  path.leaf = leaf;
  uint64_t* table = pml4;
  for (int level = 4;; --level) {
    uint64_t* entry = table + (linear >> (12 + 9 * (level - 1)) & 511);
    path.entry[level] = entry;
    if (level == leaf) return path;
    if ((*entry & kPresent) == 0)
      *entry = reinterpret_cast<uint64_t>(new_page()) | kPresent | kWritable | kUser;
    table = reinterpret_cast<uint64_t*>(*entry & kFrame);
  }
}

Path map(uint64_t* pml4, uint64_t linear, uint64_t physical, uint64_t flags, int leaf) {
  const Path path = path_to(pml4, linear, leaf);
  *path.entry[leaf] = physical | flags | (leaf > 1 ? kLarge : 0);
  invlpg(linear);
  return path;
}

void map_user_alias() {
  boot_pml4[0] |= kUser;
  *path_to(boot_tables(), kUserAlias32, 3).entry[3] |= kUser;
  for (uint64_t at = 0; at < 64ull << 20; at += 2ull << 20) {
    map(boot_tables(), kUserAlias + at, at, kPresent | kWritable | kUser, 2);
    map(boot_tables(), kUserAlias32 + at, at, kPresent | kWritable | kUser, 2);
  }
}

}  // namespace bare
