// What machines need to know of aarch64's guests: how their kernels are loaded, and where their
// memory lies.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "boot/arm64/image.h"
#include "boot/arm64/kernel.h"
#include "boot/arm64/layout.h"

namespace husk::runtime {

using boot::arm64::KernelRequest;
using boot::arm64::LoadedKernel;
using boot::arm64::ram_layout;

// Whose images it runs, by Go's name.
constexpr std::string_view kImageArchitecture = "arm64";
// Linux's name of the serial port.
constexpr std::string_view kSerialConsole = "ttyAMA0";
// What a container's guest needs on its command line besides.
constexpr std::string_view kContainerOptions = "random.trust_bootloader=on";

// The release that a Linux for aarch64 names; empty: it is none, or names none.
[[nodiscard]] std::string kernel_release(std::span<const std::byte> kernel);
constexpr std::string_view kKernelKind = "an arm64 Image";

}  // namespace husk::runtime
