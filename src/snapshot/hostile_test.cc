// Files whose digests are right and whose contents are not: each lie is refused by its name.
#include <gtest/gtest.h>

#include "snapshot/chain.h"
#include "snapshot/restore.h"
#include "snapshot/testing/forge.h"
#include "snapshot/writer.h"

namespace husk::snapshot {
namespace {

using namespace testing;

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    memory_ = two_regions(kMiB, kMiB);
    for (uint64_t at = 0; at < kMiB; at += 4 * kPageSize)
      fill_page(*memory_, at, static_cast<uint32_t>(at));
    std::memset(memory_->bytes().data() + kMiB, 'z', kMiB / 2);
    id_ = *write_full(directory_ / "plain", sample_contents(), *memory_);
    ASSERT_TRUE(write_full(directory_ / "packed", sample_contents(), *memory_, {.compress = true}));
    std::vector<Gpa> dirty;
    for (uint64_t at = 0; at < kMiB; at += 8 * kPageSize) dirty.push_back(Gpa{at});
    ASSERT_TRUE(
        write_diff(directory_ / "diff", {id_, "plain"}, sample_contents(), *memory_, dirty));
  }
  Forgery forge(const std::string& name) { return Forgery(read_whole_file(directory_ / name)); }
  // What is said of it, without the file's name.
  std::string refusal(const std::string& content) {
    const std::string path = directory_ / "forged";
    replace_file(path, content);
    const std::string said = why(Chain::open(path));
    return said.starts_with(path + ": ") ? said.substr(path.size() + 2) : said;
  }
  // After `edit` of the manifest.
  std::string refusal(const char* name, const std::function<void(Json&)>& edit) {
    Forgery forgery = forge(name);
    edit(forgery.manifest());
    return refusal(forgery.file());
  }

  TempDirectory directory_{fast_place()};
  std::unique_ptr<memory::GuestMemory> memory_;
  Sha256 id_{};
};

TEST_F(HostileTest, AForgeryWithoutALieIsTaken) {
  for (const char* name : {"plain", "packed", "diff"})
    EXPECT_EQ(refusal(forge(name).file()), "no error");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["unknown"] = {1, 2}; }), "no error");
}

TEST_F(HostileTest, ManifestsThatAreNone) {
  const Forgery forgery = forge("plain");
  EXPECT_EQ(refusal(forgery.file("{")), "manifest: is malformed");
  EXPECT_EQ(refusal(forgery.file("[]")), "manifest: machine is missing");
  EXPECT_EQ(refusal(forgery.file("null")), "manifest: machine is missing");
  EXPECT_EQ(refusal(forgery.file("{\"machine\": 5}")), "manifest: machine: is not an object");
  EXPECT_EQ(refusal(forgery.file(std::string(1 << 20, '['))), "manifest: is malformed");
  EXPECT_EQ(refusal(forgery.file(std::string(kMaxManifest + 1, ' '))), "its manifest is too large");
}

TEST_F(HostileTest, FieldsThatAreMissingOrOfAnotherType) {
  for (const char* field : {"machine", "origin", "parent_file", "memory_end", "parts"}) {
    EXPECT_EQ(refusal("plain", [&](Json& m) { m.erase(field); }),
              std::string("manifest: ") + field + " is missing");
  }
  for (const char* field : {"origin", "memory_end", "parts"}) {
    EXPECT_NE(refusal("plain", [&](Json& m) { m[field] = "text"; }), "no error") << field;
    EXPECT_NE(refusal("plain", [&](Json& m) { m[field] = nullptr; }), "no error") << field;
  }
  EXPECT_EQ(refusal("plain", [](Json& m) { m["memory_end"] = -1; }),
            "manifest: memory_end is not a whole number");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["memory_end"] = 1e99; }),
            "manifest: memory_end is not a whole number");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["origin"]["guest_clocks"]["tsc"] = "x"; }),
            "manifest: tsc is not a whole number");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["origin"]["identity"] = 1; }),
            "manifest: identity is not an object");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["parts"][0]["sha256"] = "AB"; }),
            "manifest: sha256 is not a digest");
}

TEST_F(HostileTest, Regions) {
  const auto with = [&](size_t region, const char* field, uint64_t value) {
    return refusal("plain",
                   [&](Json& m) { m["machine"]["memory_regions"][region][field] = value; });
  };
  EXPECT_EQ(with(0, "size", kMiB + 1), "manifest: bad memory region at 0x0");
  EXPECT_EQ(with(0, "size", 0), "manifest: bad memory region at 0x0");
  EXPECT_EQ(with(0, "size", kMiB + kPageSize), "manifest: bad memory region at 0x100000000");
  EXPECT_EQ(with(0, "size", uint64_t{1} << 62), "has more than 1 TiB of memory");
  EXPECT_EQ(with(0, "guest_addr", 8), "manifest: bad memory region at 0x8");
  EXPECT_EQ(with(1, "guest_addr", kPageSize), "manifest: bad memory region at 0x1000");
  EXPECT_EQ(with(1, "guest_addr", ~uint64_t{0xfff}),
            "manifest: bad memory region at 0xfffffffffffff000");
  EXPECT_EQ(with(1, "file_offset", 0), "manifest: bad memory region at 0x100000000");
  EXPECT_EQ(with(1, "size", 2 * kMiB),
            "manifest: regions of 3145728 bytes, total_memory of 2097152");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["machine"]["memory_regions"] = Json::array(); }),
            "manifest: regions of 0 bytes, total_memory of 2097152");
}

TEST_F(HostileTest, MachinesThatContradictTheFile) {
  const auto with = [&](const char* name, const char* field, const Json& value) {
    return refusal(name, [&](Json& m) { m["machine"][field] = value; });
  };
  EXPECT_EQ(with("plain", "version", 2), "manifest: its version is not the header's");
  EXPECT_EQ(with("plain", "compressed", true),
            "manifest: compressed and compression contradict each other");
  EXPECT_EQ(with("packed", "compression", "lz4"), "is compressed by 'lz4'; this build reads zstd");
  EXPECT_EQ(refusal("packed",
                    [](Json& m) {
                      m["machine"]["compressed"] = false;
                      m["machine"]["compression"] = nullptr;
                    }),
            "run 0 has another length in the file");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["machine"]["vcpus"][0]["extra_state"] = {1}; }),
            "manifest: it has bytes of its own");
}

TEST_F(HostileTest, Parents) {
  const char* none = "manifest: parent_id and parent_file do not name a parent";
  EXPECT_EQ(refusal("diff", [](Json& m) { m["parent_file"] = nullptr; }), none);
  EXPECT_EQ(refusal("plain", [](Json& m) { m["parent_file"] = "a"; }), none);
  EXPECT_EQ(refusal("diff", [](Json& m) { m["machine"]["parent_id"] = "../plain"; }), none);
  for (const char* path : {"../plain", "/etc/passwd", "..", ""})
    EXPECT_EQ(refusal("diff", [&](Json& m) { m["parent_file"] = path; }),
              "manifest: parent_file is not a plain name");
  EXPECT_EQ(refusal("diff", [](Json& m) { m["parent_file"] = "nowhere"; }), "no error")
      << "it is found by its id";
  // A full one cannot pass for a diff nor the other way round: the run table tells.
  EXPECT_EQ(refusal("diff",
                    [](Json& m) {
                      m["parent_file"] = nullptr;
                      m["machine"]["parent_id"] = nullptr;
                    }),
            "run 1 leaves out memory before it");
}

TEST_F(HostileTest, Parts) {
  const auto with = [&](size_t part, const char* field, const Json& value) {
    return refusal("plain", [&](Json& m) { m["parts"][part][field] = value; });
  };
  EXPECT_EQ(with(0, "name", "digests"), "manifest: parts are missing");
  EXPECT_EQ(with(2, "name", "vcpu/7"), "manifest: part 2 is out of place");
  EXPECT_EQ(with(7, "name", "state/ioapic"), "manifest: part 7 is out of place");
  EXPECT_EQ(with(3, "offset", 0), "manifest: part 3 is not where it belongs in the file");
  EXPECT_EQ(with(3, "size", ~uint64_t{0}), "manifest: part 3 is not where it belongs in the file");
  EXPECT_EQ(with(7, "size", 1), "manifest: part 7 is not where it belongs in the file");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["parts"] = Json::array(); }),
            "manifest: parts are missing");
  EXPECT_EQ(refusal("plain",
                    [](Json& m) { m["machine"]["devices"].push_back(m["machine"]["devices"][0]); }),
            "manifest: part 6 is out of place");
  EXPECT_EQ(refusal("plain",
                    [](Json& m) {
                      m["parts"].erase(7);
                      m["parts"].erase(6);
                    }),
            "manifest: the parts do not end where it begins");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["memory_end"] = kHeaderSize; }),
            "manifest: memory_end is before the memory");
  EXPECT_EQ(refusal("plain", [](Json& m) { m["parts"] = Json(kMaxParts + 1, m["parts"][0]); }),
            "manifest: parts are too many");
}

TEST_F(HostileTest, RunsOfADiff) {
  const auto with = [&](size_t run, size_t field, uint64_t value) {
    return refusal(forge("diff").set_run(run, field, value).file());
  };
  EXPECT_EQ(with(0, 0, 1), "run 0 is not in pages");
  EXPECT_EQ(with(0, 1, 0), "run 0 is not in pages");
  EXPECT_EQ(with(0, 0, 2 * kMiB), "run 0 is not in memory");
  EXPECT_EQ(with(0, 0, ~uint64_t{0xfff}), "run 0 is not in memory");
  EXPECT_EQ(with(1, 0, 0), "run 1 overlaps the one before");
  EXPECT_EQ(with(0, 2, 0), "run 0 lies on other bytes of the file");
  EXPECT_EQ(with(1, 2, kMemoryStart), "run 1 lies on other bytes of the file");
  EXPECT_EQ(with(31, 2, kMemoryStart + 32 * kPageSize), "run 31 is not in the file");
  EXPECT_EQ(with(0, 2, ~uint64_t{0} - 10), "run 0 is not in the file");
  EXPECT_EQ(with(31, 3, ~uint64_t{0}), "run 31 is not in the file");
  EXPECT_EQ(with(0, 3, 100), "run 0 has another length in the file");
  EXPECT_EQ(with(0, 3, 0), "run 0 has a place and no bytes");
}

TEST_F(HostileTest, RunsOfACompressedOne) {
  Forgery forgery = forge("packed");
  const auto run = *SnapshotFile::open(directory_ / "packed");
  const uint64_t stored = run.runs()[0].stored;
  EXPECT_EQ(refusal(forge("packed").set_run(0, 0, kPageSize).file()),
            "run 0 leaves out memory before it");
  EXPECT_EQ(refusal(forge("packed").set_run(0, 1, kMiB).file()),
            "run 0 is compressed in too large a frame");
  EXPECT_EQ(refusal(forge("packed").set_run(0, 3, stored - 1).file()), "no error");
  const auto restored = restore_memory(*Chain::open(directory_ / "forged"));
  EXPECT_EQ(restored.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(why(restored).find("memory at 0x0: its zstd frame"), std::string::npos)
      << why(restored);
}

TEST_F(HostileTest, TablesOfAnotherLength) {
  const auto shifted = [&](int64_t by) {
    return refusal("plain", [&](Json& m) {
      m["parts"][0]["size"] = 32 + by;
      m["parts"][1]["offset"] = static_cast<int64_t>(m["parts"][1]["offset"]) + by;
      m["parts"][1]["size"] = static_cast<int64_t>(m["parts"][1]["size"]) - by;
    });
  };
  EXPECT_EQ(shifted(8), "part 'runs' is damaged");
  Forgery forgery = forge("plain");
  Json& parts = forgery.manifest()["parts"];
  parts[0]["size"] = 64;
  parts[1]["offset"] = static_cast<uint64_t>(parts[1]["offset"]) + 32;
  parts[1]["size"] = static_cast<uint64_t>(parts[1]["size"]) - 32;
  forgery.change_part(0, [](std::string&) {}).change_part(1, [](std::string&) {});
  EXPECT_EQ(refusal(forgery.file()), "run 1 is not in pages");
  forgery.change_part(0, [](std::string& table) {
    uint64_t zero_run[4] = {kMiB, kMiB, 0, 0};
    const uint64_t half = kMiB;
    std::memcpy(table.data() + 8, &half, 8);
    std::memcpy(table.data() + 24, &half, 8);
    std::memcpy(table.data() + 32, zero_run, sizeof zero_run);
  });
  EXPECT_EQ(refusal(forgery.file()), "no error") << "one run, one digest, then zeroes";
  forgery.set_run(0, 1, kMiB / 2).set_run(0, 3, kMiB / 2).set_run(1, 0, kMiB / 2);
  EXPECT_EQ(refusal(forgery.file()), "its run table leaves out the end of memory");
  forgery.set_run(1, 2, kMemoryStart + kMiB).set_run(1, 3, kMiB).set_run(1, 1, kMiB);
  EXPECT_NE(refusal(forgery.file()), "no error");
}

}  // namespace
}  // namespace husk::snapshot
