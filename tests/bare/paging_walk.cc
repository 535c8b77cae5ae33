// Page walks with every kind of entry at every level, by every kind of access, in every mode that
// changes the outcome, against a model (Intel SDM vol. 3, 4.5 to 4.8).
#include "page_table.h"
#include "paging.h"
#include "trap.h"

extern "C" const char user_read[], user_read_at[], user_write[], user_write_at[];
asm(R"(
        .text
user_read:
user_read_at:
        movb (%rdi), %al
        int $0x80
user_write:
user_write_at:
        movb %al, (%rdi)
        int $0x80
)");

namespace bare {
namespace {

// The page under test: RAM, with `int $0x81` at its beginning and data behind it.
constexpr uint64_t kTarget = 0x2003000, kData = 0x100;
constexpr uint8_t kCodeVector = 0x81, kBackVector = 0x80;

struct Mode {
  bool wp, nxe, smep, smap;
};

enum class Kind : uint8_t { kRead, kWrite, kFetch };

struct Access {
  Kind kind;
  bool user;
  bool ac;  // EFLAGS.AC, for the supervisor's
};
constexpr Access kAccesses[] = {
    {Kind::kRead, false, false}, {Kind::kWrite, false, false}, {Kind::kFetch, false, false},
    {Kind::kRead, false, true},  {Kind::kWrite, false, true},  {Kind::kFetch, false, true},
    {Kind::kRead, true, false},  {Kind::kWrite, true, false},  {Kind::kFetch, true, false},
};

uint64_t rip_at;  // of the instruction that accesses

void set_mode(const Mode& mode) {
  static Mode now{true, true, false, false};
  static bool known = false;
  if (known && now.wp == mode.wp && now.nxe == mode.nxe && now.smep == mode.smep &&
      now.smap == mode.smap)
    return;
  now = mode;
  known = true;
  const uint64_t cr0 = read_cr0() & ~kCr0Wp;
  write_cr0(mode.wp ? cr0 | kCr0Wp : cr0);
  const uint64_t efer = read_msr(kMsrEfer) & ~kEferNxe;
  write_msr(kMsrEfer, mode.nxe ? efer | kEferNxe : efer);
  uint64_t cr4 = read_cr4() & ~(kCr4Smep | kCr4Smap);
  if (mode.smep) cr4 |= kCr4Smep;
  if (mode.smap) cr4 |= kCr4Smap;
  write_cr4(cr4);
}

Trap supervisor_access(uint64_t address, const Access& access, uint8_t value) {
  const uint64_t flags = access.ac ? kFlagAc | 2 : 2;
  return catch_trap([&] {
    switch (access.kind) {
      case Kind::kRead:
        asm volatile("push %[flags]; popf; movq $1f, %[rip]\n1: movb (%[p]), %%al"
                     : [rip] "=m"(rip_at)
                     : [flags] "r"(flags), [p] "r"(address + kData)
                     : "rax", "memory", "cc");
        break;
      case Kind::kWrite:
        asm volatile("push %[flags]; popf; movq $1f, %[rip]\n1: movb %[v], (%[p])"
                     : [rip] "=m"(rip_at)
                     : [flags] "r"(flags), [p] "r"(address + kData), [v] "r"(value)
                     : "memory", "cc");
        break;
      case Kind::kFetch:
        rip_at = address;
        asm volatile("push %[flags]; popf; jmp *%[p]" ::[flags] "r"(flags), [p] "r"(address)
                     : "memory", "cc");
        break;
    }
  });
}

Trap user_access(uint64_t address, const Access& access, uint8_t value) {
  Entry entry;
  entry.cs = 0x2b;
  entry.ss = 0x23;
  entry.rdi = address + kData;
  entry.rax = value;
  switch (access.kind) {
    case Kind::kRead:
      entry.rip = user_address(user_read);
      rip_at = user_address(user_read_at);
      break;
    case Kind::kWrite:
      entry.rip = user_address(user_write);
      rip_at = user_address(user_write_at);
      break;
    case Kind::kFetch:
      entry.rip = rip_at = address;
      break;
  }
  return enter(entry);
}

// What the walk should come to.
struct Outcome {
  bool faults = false;
  uint64_t error = 0;
  int deepest = 4;  // the lowest level whose entry was used without complaint
};

uint64_t reserved_bits(int level, bool large, bool nxe) {
  const uint32_t physical_bits = cpuid(0x80000008).eax & 0xff;
  uint64_t bits = ((1ull << 52) - 1) & ~((1ull << physical_bits) - 1);
  if (!nxe) bits |= kNoExecute;
  if (level == 4) bits |= kLarge;
  if (level == 3 && large && !has_1g_pages()) bits |= kLarge;
  if (large) bits |= ((1ull << (12 + 9 * (level - 1))) - 1) & ~0x1fffull;
  return bits;
}

Outcome model(const Path& path, const Mode& mode, const Access& access) {
  Outcome outcome;
  uint64_t error = (access.kind == Kind::kWrite ? 2 : 0) | (access.user ? 4 : 0);
  if (access.kind == Kind::kFetch && (mode.nxe || mode.smep)) error |= 16;
  bool writable = true, user = true, executable = true;
  for (int level = 4; level >= path.leaf; --level) {
    const uint64_t entry = *path.entry[level];
    const bool large = level > 1 && level < 4 && level == path.leaf;
    if ((entry & kPresent) == 0) return {true, error, level + 1};
    if ((entry & reserved_bits(level, large, mode.nxe)) != 0) return {true, error | 9, level + 1};
    writable = writable && (entry & kWritable) != 0;
    user = user && (entry & kUser) != 0;
    executable = executable && !(mode.nxe && (entry & kNoExecute) != 0);
    outcome.deepest = level;
  }
  bool allowed = true;
  if (access.user) {
    allowed = user && (access.kind != Kind::kWrite || writable);
  } else {
    if (access.kind == Kind::kWrite && mode.wp && !writable) allowed = false;
    if (access.kind == Kind::kFetch && mode.smep && user) allowed = false;
    if (access.kind != Kind::kFetch && mode.smap && user && !access.ac) allowed = false;
  }
  if (access.kind == Kind::kFetch && !executable) allowed = false;
  outcome.faults = !allowed;
  outcome.error = allowed ? 0 : error | 1;
  return outcome;
}

bool trap_as_expected(const Trap& trap, const Outcome& expected, const Access& access,
                      uint64_t linear) {
  if (expected.faults) {
    const uint64_t touched = access.kind == Kind::kFetch ? linear : linear + kData;
    return trap.is(kPf) && trap.error == expected.error && trap.cr2 == touched &&
           trap.rip == rip_at;
  }
  if (access.kind == Kind::kFetch) return trap.vector == kCodeVector && trap.rip == linear + 2;
  return access.user ? trap.vector == kBackVector : trap.vector == kNoTrap;
}

// Accessed bits of what the walk went through, dirty only in the leaf and only for a write.
bool marks_as_expected(const Path& path, const Outcome& expected, const Access& access) {
  for (int level = 4; level >= path.leaf; --level) {
    const uint64_t entry = *path.entry[level];
    const bool accessed = (entry & kAccessed) != 0, dirty = (entry & kDirty) != 0;
    const bool written = !expected.faults && level == path.leaf && access.kind == Kind::kWrite;
    if (dirty != written) return false;
    if (!expected.faults && !accessed) return false;
    if (level < expected.deepest && accessed) return false;
  }
  return true;
}

class Probe {
 public:
  Probe(int leaf, uint64_t linear) : linear_(linear), leaf_(leaf) {
    const uint64_t size = 1ull << (12 + 9 * (leaf - 1));
    path_ = map(boot_tables(), linear & ~(size - 1), kTarget & ~(size - 1),
                kPresent | kWritable | kUser, leaf);
    linear_ = (linear & ~(size - 1)) | (kTarget & (size - 1));
    for (int level = 4; level >= leaf; --level) plain_[level] = *path_.entry[level];
  }

  // Every access, with the entries' `set` and `cleared` bits; true when all were as they should be.
  bool run(const Text& name, const Mode& mode, const uint64_t (&set)[5],
           const uint64_t (&cleared)[5]) {
    set_mode(mode);
    bool good = true;
    for (const Access& access : kAccesses) {
      for (int level = 4; level >= leaf_; --level)
        *path_.entry[level] =
            ((plain_[level] & ~cleared[level]) | set[level]) & ~(kAccessed | kDirty);
      invlpg(linear_);
      good = one(name, mode, access) && good;
    }
    for (int level = 4; level >= leaf_; --level) *path_.entry[level] = plain_[level];
    invlpg(linear_);
    return good;
  }
  [[nodiscard]] int leaf() const { return leaf_; }

 private:
  bool one(const Text& name, const Mode& mode, const Access& access) {
    const Outcome expected = model(path_, mode, access);
    const uint8_t value = ++value_;
    volatile uint8_t* data = reinterpret_cast<uint8_t*>(kTarget + kData);
    *data = 0;
    const Trap trap = access.user ? user_access(linear_, access, value)
                                  : supervisor_access(linear_, access, value);
    const bool wrote = !expected.faults && access.kind == Kind::kWrite;
    const bool good = trap_as_expected(trap, expected, access, linear_) &&
                      marks_as_expected(path_, expected, access) && *data == (wrote ? value : 0);
    if (good || ++reported_ > 3) return good;
    Text text;
    text << "  " << name.c_str() << (mode.wp ? " WP" : "") << (mode.nxe ? " NXE" : "")
         << (mode.smep ? " SMEP" : "") << (mode.smap ? " SMAP" : "")
         << (access.user ? " user" : " supervisor") << (access.ac ? "+AC" : "") << " kind "
         << static_cast<int>(access.kind) << ": " << describe(trap).c_str();
    if (expected.faults) text << ", expected error " << expected.error;
    text << "\n";
    print(text.c_str());
    for (int level = 4; level >= leaf_; --level) {
      Text line;
      line << "    entry " << level << ": " << *path_.entry[level] << "\n";
      print(line.c_str());
    }
    return false;
  }

  Path path_;
  uint64_t linear_;
  int leaf_;
  uint64_t plain_[5] = {};
  uint8_t value_ = 0;
  int reported_ = 0;
};

bool offered(const Mode& mode) { return (!mode.smep || has_smep()) && (!mode.smap || has_smap()); }

template <class Each>
void for_each_mode(Each each) {
  for (int bits = 0; bits < 16; ++bits) {
    const Mode mode{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
    if (offered(mode)) each(mode);
  }
}

struct Change {
  const char* name;
  uint64_t set, cleared;
  bool leaf_only;  // of a large page
};
constexpr Change kChanges[] = {
    {"not present", 0, kPresent, false},
    {"read-only", 0, kWritable, false},
    {"supervisor", 0, kUser, false},
    {"no-execute", kNoExecute, 0, false},
    {"supervisor, read-only", 0, kUser | kWritable, false},
    {"reserved address bit", 1ull << 51, 0, false},
    {"not present but for reserved bits", 1ull << 51, kPresent, false},
    {"reserved low bit of a large page", 1ull << 13, 0, true},
};

const char* page_name(int leaf) { return leaf == 1 ? "4K" : leaf == 2 ? "2M" : "1G"; }

// Returns the number of checks.
void check_single_changes(Probe& probe) {
  constexpr uint64_t kNothing[5] = {};
  Text plain = Text(page_name(probe.leaf())) << " page, all rights";
  bool good = true;
  for_each_mode(
      [&](const Mode& mode) { good = probe.run(plain, mode, kNothing, kNothing) && good; });
  check(plain, good);
  for (int level = 4; level >= probe.leaf(); --level) {
    for (const Change& change : kChanges) {
      if (change.leaf_only && (level != probe.leaf() || level == 1)) continue;
      Text name = Text(page_name(probe.leaf())) << " page, level " << level << " " << change.name;
      uint64_t set[5] = {}, cleared[5] = {};
      set[level] = change.set;
      cleared[level] = change.cleared;
      good = true;
      for_each_mode([&](const Mode& mode) { good = probe.run(name, mode, set, cleared) && good; });
      check(name, good);
    }
  }
}

// Several entries changed at once, the same ones every time.
void check_mixed_changes(Probe& probe) {
  constexpr int kTrials = 40;
  uint64_t seed = 12345 + static_cast<uint64_t>(probe.leaf());
  const auto random = [&] {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return static_cast<uint32_t>(seed >> 33);
  };
  for_each_mode([&](const Mode& mode) {
    Text name = Text(page_name(probe.leaf()))
                << " page, mixed changes," << (mode.wp ? " WP" : "") << (mode.nxe ? " NXE" : "")
                << (mode.smep ? " SMEP" : "") << (mode.smap ? " SMAP" : "");
    bool good = true;
    for (int trial = 0; trial < kTrials; ++trial) {
      uint64_t set[5] = {}, cleared[5] = {};
      for (int level = 4; level >= probe.leaf(); --level) {
        if (random() % 8 == 0) cleared[level] |= kPresent;
        if (random() % 3 == 0) cleared[level] |= kWritable;
        if (random() % 3 == 0) cleared[level] |= kUser;
        if (random() % 4 == 0) set[level] |= kNoExecute;
        if (random() % 8 == 0) set[level] |= 1ull << 51;
      }
      good = probe.run(name, mode, set, cleared) && good;
    }
    check(name, good);
  });
}

}  // namespace

void check_walks() {
  auto* code = reinterpret_cast<uint8_t*>(kTarget);
  code[0] = 0xcd;
  code[1] = kCodeVector;
  for (int leaf = 1; leaf <= 3; ++leaf) {
    if (leaf == 3 && !has_1g_pages()) continue;
    Probe probe(leaf, 0x20000000000 + 0x8000000000 * static_cast<uint64_t>(leaf) + 0x40000000);
    check_single_changes(probe);
    check_mixed_changes(probe);
  }
  set_mode({true, true, false, false});
}

}  // namespace bare
