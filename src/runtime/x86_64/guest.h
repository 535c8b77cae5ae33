// What machines need to know of x86-64's guests: how their kernels are loaded, and where their
// memory lies.
#pragma once

#include <string>
#include <string_view>

#include "boot/kernel.h"
#include "boot/layout.h"

namespace husk::runtime {

using boot::KernelRequest;
using boot::LoadedKernel;
using boot::ram_layout;

// Whose images it runs, by Go's name.
constexpr std::string_view kImageArchitecture = "amd64";
// Linux's name of the serial port.
constexpr std::string_view kSerialConsole = "ttyS0";
// What a container's guest needs on its command line besides. Without ACPI's help, restarting goes
// by the keyboard controller.
constexpr std::string_view kContainerOptions = "reboot=k random.trust_cpu=on tsc=reliable";

// The release that a Linux for x86-64 names; empty: it is none, or names none.
[[nodiscard]] inline std::string kernel_release(std::span<const std::byte> kernel) {
  return boot::bzimage_release(kernel);
}
constexpr std::string_view kKernelKind = "a bzImage";

}  // namespace husk::runtime
