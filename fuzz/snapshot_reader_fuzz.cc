// A snapshot file that somebody else wrote: opened, restored, verified and flattened. The input is
// a file as it is, or a manifest and bytes of which a file with right digests is made, since no
// mutation finds those.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/fd.h"
#include "input.h"
#include "snapshot/flatten.h"
#include "snapshot/header.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

namespace {

using namespace husk;
using namespace husk::snapshot;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMostMemory = uint64_t{16} << 20;

// In memory where the host has such a place, and gone with the process.
class Directory {
 public:
  Directory() {
    const std::filesystem::path memory = "/dev/shm";
    const auto below =
        std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    path_ = (below / "husk-fuzz-XXXXXX").string();
    fuzz::require(::mkdtemp(path_.data()) != nullptr);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Gives each part that lies in the file the digest that it has.
void vouch(Json& manifest, const std::string& content) {
  if (!manifest.is_object() || !manifest.contains("parts") || !manifest["parts"].is_array()) return;
  for (Json& part : manifest["parts"]) {
    if (!part.is_object() || !part.contains("offset") || !part["offset"].is_number_unsigned() ||
        !part.contains("size") || !part["size"].is_number_unsigned())
      continue;
    const uint64_t offset = part["offset"];
    const uint64_t size = part["size"];
    if (offset > content.size() || size > content.size() - offset) continue;
    part["sha256"] = to_hex(sha256(bytes_of(content).subspan(offset, size)));
  }
}

// Lets a diff have the one parent that there is.
void adopt(Json& manifest, const Sha256& parent) {
  if (!manifest.is_object() || !manifest.contains("machine") || !manifest["machine"].is_object())
    return;
  Json& machine = manifest["machine"];
  if (machine.contains("parent_id") && machine["parent_id"].is_string())
    machine["parent_id"] = to_hex(parent);
}

// Header, gap, `body` where memory and parts go, manifest.
std::string forge(const std::string& manifest_text, const std::string& body, const Sha256& parent) {
  std::string content(kMemoryStart, '\0');
  content += body;
  Json manifest = Json::parse(manifest_text, nullptr, false);
  std::string text = manifest_text;
  if (!manifest.is_discarded()) {
    vouch(manifest, content);
    adopt(manifest, parent);
    text = manifest.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (text.empty()) text.push_back(' ');
  const uint64_t offset = content.size();
  content += text;
  const HeaderPage page =
      *encode(Header{content.size(), offset, text.size(), sha256(bytes_of(text))});
  std::memcpy(content.data(), page.data(), page.size());
  return content;
}

std::string file_of(fuzz::Input& input, const Sha256& parent) {
  const auto text = [&](size_t most) {
    const auto bytes = input.take_bytes(most);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  if ((input.take<uint8_t>() & 1) == 0) return text(SIZE_MAX);
  const auto manifest_size = input.take<uint16_t>();
  const std::string manifest = text(manifest_size);
  return forge(manifest, text(SIZE_MAX), parent);
}

void use(const Chain& chain, const std::string& flat) {
  uint64_t end = 0;
  for (const Extent& extent : chain.extents()) {
    fuzz::require(extent.at == end && extent.length != 0);
    end = extent.end();
  }
  fuzz::require(end == chain.tip().memory_size());
  if (end > kMostMemory) return;
  const auto memory = restore_memory(chain);
  if (!verify(chain).empty()) return;
  fuzz::require(memory.has_value());
  fuzz::require(flatten(chain, flat).has_value());
  const auto again = Chain::open(flat);
  fuzz::require(again && again->tip().contents().states == chain.tip().contents().states);
  const auto copy = restore_memory(*again);
  fuzz::require(copy && std::ranges::equal((*copy)->bytes(), (*memory)->bytes()));
}

// What the seeds' diff builds on.
Sha256 write_parent(const std::string& path) {
  const memory::RegionSpec specs[] = {{Gpa{0}, 0x4000}, {Gpa{0x1'0000'0000}, 0x2000}};
  const auto memory = *memory::GuestMemory::create(specs);
  fuzz::require(memory->store<uint64_t>(Gpa{0x3000}, 1).has_value());
  Contents contents;
  contents.machine.arch = CpuArch::kX86_64;
  return *write_full(path, contents, *memory);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Directory directory;
  static const Sha256 parent = write_parent(directory / "parent");
  const std::string path = directory / "input";
  const std::string flat = directory / "flat";
  fuzz::Input input(data, size);
  const std::string content = file_of(input, parent);
  {
    const auto fd = base::open_file(path, O_RDWR | O_CREAT | O_TRUNC, "input", 0600);
    fuzz::require(fd && base::write_exact(fd->get(), bytes_of(content), 0, path));
  }
  ::unlink(flat.c_str());
  const auto chain = Chain::open(path);
  if (chain) use(*chain, flat);
  return 0;
}
