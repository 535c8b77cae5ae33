#include "boot/arm64/kernel.h"

#include <fmt/core.h>

#include "base/try.h"
#include "boot/arm64/image.h"
#include "boot/arm64/layout.h"
#include "boot/arm64/places.h"

namespace husk::boot::arm64 {
namespace {

using contract::aarch64::VcpuState;

// COMMAND_LINE_SIZE of arm64 Linux less the NUL.
constexpr size_t kCommandLineLimit = 2047;

VcpuState entry_state(Gpa kernel, Gpa device_tree) {
  using namespace contract::aarch64;  // NOLINT(google-build-using-namespace)
  VcpuState state;
  state.x[0] = device_tree.value;
  state.pc = kernel.value;
  state.pstate = kPstateEl1h | kPstateD | kPstateA | kPstateI | kPstateF;
  return state;
}

Result<void> check_command_line(const KernelRequest& request) {
  const size_t size = request.command_line.size();
  if (size <= kCommandLineLimit) return {};
  return fail(
      ErrorKind::kLimit, request.name,
      fmt::format("takes a command line of {} bytes, this one has {}", kCommandLineLimit, size));
}

KernelFormat format_of(const Image& image) {
  switch (image.packed.wrapper) {
    case Wrapper::kNone:
      break;
    case Wrapper::kGzip:
      return KernelFormat::kGzipImage;
    case Wrapper::kZboot:
      return KernelFormat::kZbootImage;
  }
  return KernelFormat::kImage;
}

LoadedKernel describe(const Image& image) {
  LoadedKernel loaded;
  loaded.format = format_of(image);
  loaded.version = linux_release(image.bytes);
  loaded.description = loaded.version.empty() ? "Linux" : "Linux " + loaded.version;
  loaded.description += ", Image";
  if (image.packed.wrapper != Wrapper::kNone)
    loaded.description +=
        fmt::format(", unpacked ({})", compression_name(image.packed.compression));
  return loaded;
}

}  // namespace

Result<KernelFormat> detect(const std::string& name, std::span<const std::byte> kernel) {
  const Image image = HUSK_TRY(open_image(name, kernel, ~uint64_t{0}));
  return format_of(image);
}

Result<LoadedKernel> load_kernel(memory::GuestMemory& memory, const KernelRequest& request) {
  const Image image = HUSK_TRY(open_image(request.name, request.kernel, memory.size()));
  HUSK_TRY(check_command_line(request));
  const Places places = HUSK_TRY(choose_places(memory, request.name, image.header,
                                               request.initrd_name, request.initrd.size()));
  const auto tree =
      HUSK_TRY(build_device_tree(request.name, request.machine, memory.regions(),
                                 {request.command_line, places.initrd, request.initrd.size()}));
  HUSK_TRY(memory.write(Gpa{kDeviceTree}, tree));
  HUSK_TRY(memory.write(places.kernel, image.bytes));
  if (!request.initrd.empty()) HUSK_TRY(memory.write(places.initrd, request.initrd));

  LoadedKernel loaded = describe(image);
  loaded.entry = entry_state(places.kernel, Gpa{kDeviceTree});
  return loaded;
}

}  // namespace husk::boot::arm64
