// husk doctor: which backends this host can use, and why not the others.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "cli/verbs.h"
#include "runtime/backend.h"

namespace husk::cli {
namespace {

int doctor() {
  for (const runtime::Backend* backend : runtime::backends()) {
    const auto probed = backend->probe();
    fmt::print("{:5} {:9} {}\n", backend->name, probed ? "usable" : "not used",
               probed ? *probed : probed.error().message());
  }
  const base::Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (kvm.valid()) {
    fmt::print("kvm   not used  /dev/kvm opens, but this build has no KVM backend yet\n");
  } else if (errno == EACCES) {
    fmt::print(
        "kvm   not used  no permission on /dev/kvm (join the group that owns it, usually kvm), and "
        "this build has no KVM backend yet\n");
  } else {
    fmt::print("kvm   not used  /dev/kvm: {}\n", std::strerror(errno));
  }
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& chosen) {
  auto* verb = app.add_subcommand("doctor", "Say which backends this host can use, and why not");
  verb->callback([&chosen] { chosen = doctor; });
}

}  // namespace husk::cli
