#include "agent/host/initramfs.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include "agent/host/module_index.h"
#include "base/fd.h"
#include "base/try.h"

extern "C" const std::byte husk_agent_binary[];
extern "C" const std::byte husk_agent_binary_end[];

namespace husk::agent {
namespace {

constexpr size_t kLargestModule = 64 << 20;
constexpr std::string_view kSignatureMarker = "~Module signature appended~\n";

// The archive format of Linux's initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst).
class CpioWriter {
 public:
  void add(const std::string& name, uint32_t mode, std::string_view data, uint32_t device_major = 0,
           uint32_t device_minor = 0) {
    out_ += fmt::format(
        "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
        ++inode_, mode, 0, 0, 1, 0, data.size(), 0, 0, device_major, device_minor, name.size() + 1,
        0);
    out_ += name;
    out_ += '\0';
    pad();
    out_ += data;
    pad();
  }
  std::string finish() {
    add("TRAILER!!!", 0, {});
    return std::move(out_);
  }

 private:
  void pad() { out_.append((4 - out_.size() % 4) % 4, '\0'); }
  std::string out_;
  uint32_t inode_ = 0;
};

// Without its signature a module loads all the same, and the guest is spared the RSA computation.
// The signature's length stands, big-endian, at the end of the twelve bytes before the marker
// (Linux, include/linux/module_signature.h).
std::string_view without_signature(std::string_view module) {
  constexpr size_t kInfoSize = 12;
  if (!module.ends_with(kSignatureMarker)) return module;
  const size_t info = module.size() - kSignatureMarker.size() - kInfoSize;
  if (module.size() < kSignatureMarker.size() + kInfoSize) return module;
  size_t length = 0;
  for (size_t i = 8; i < kInfoSize; ++i)
    length = length << 8 | static_cast<uint8_t>(module[info + i]);
  return length <= info ? module.substr(0, info - length) : module;
}

}  // namespace

const std::vector<std::string> kWantedModules{
    "virtio_mmio", "virtio_blk", "vmw_vsock_virtio_transport", "virtio_rng", "erofs", "overlay"};

std::span<const std::byte> agent_binary() { return {husk_agent_binary, husk_agent_binary_end}; }

Result<std::string> build_initramfs(const std::string& modules,
                                    const std::vector<std::string>& wanted) {
  const ModuleIndex index = HUSK_TRY(ModuleIndex::read(modules));
  std::vector<std::string> order;
  for (const std::string& name : wanted) HUSK_TRY(index.collect(name, order));
  CpioWriter cpio;
  for (const char* directory : {"dev", "proc", "sys", "etc", "etc/husk", "lib", "lib/husk"})
    cpio.add(directory, S_IFDIR | 0755, {});
  cpio.add("dev/console", S_IFCHR | 0600, {}, 5, 1);
  cpio.add("dev/null", S_IFCHR | 0666, {}, 1, 3);
  const auto agent = agent_binary();
  cpio.add("init", S_IFREG | 0755, {reinterpret_cast<const char*>(agent.data()), agent.size()});
  std::string list;
  for (const std::string& path : order) {
    const std::string bytes =
        HUSK_TRY(base::read_file(modules + "/" + path, "kernel module", kLargestModule));
    const std::string name = "lib/husk/" + path.substr(path.rfind('/') + 1);
    cpio.add(name, S_IFREG | 0644, without_signature(bytes));
    list += "/" + name + "\n";
  }
  cpio.add("etc/husk/modules", S_IFREG | 0644, list);
  return cpio.finish();
}

}  // namespace husk::agent
