// Page tables of 64-bit guests. Tables lie in identity-mapped memory: an entry's address is a
// pointer.
#pragma once

#include <stdint.h>

namespace bare {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kWriteThrough = 8, kAccessed = 0x20,
                   kDirty = 0x40, kLarge = 0x80, kGlobal = 0x100, kNoExecute = 1ull << 63;
constexpr uint64_t kFrame = 0x000ffffffffff000;

// A page of zeroes. The pool has some hundred of them; nothing comes back.
[[nodiscard]] uint64_t* new_page();

// The entries that lead to a linear address; entry[level], of which entry[4] is the PML4's and
// entry[leaf] maps the page. Those below the leaf are null.
struct Path {
  uint64_t* entry[5] = {};
  int leaf = 1;
};
// Makes the tables that are missing, open to all (P, W, U); leaves the leaf's entry as it is.
// `leaf`: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB.
Path path_to(uint64_t* pml4, uint64_t linear, int leaf);
// And the leaf; `flags` without kLarge.
Path map(uint64_t* pml4, uint64_t linear, uint64_t physical, uint64_t flags, int leaf = 1);

uint64_t* boot_tables();

// The first 64 MiB once more, for ring 3. Code and data of the guest work there too.
constexpr uint64_t kUserAlias = 1ull << 39;
// And once more below 4 GiB, for compatibility mode.
constexpr uint64_t kUserAlias32 = 0x80000000;
void map_user_alias();
template <class T>
uint64_t user_address(T* kernel) {
  return reinterpret_cast<uint64_t>(kernel) + kUserAlias;
}

template <class T>
uint32_t user_address32(T* kernel) {
  return static_cast<uint32_t>(reinterpret_cast<uint64_t>(kernel) + kUserAlias32);
}

}  // namespace bare
