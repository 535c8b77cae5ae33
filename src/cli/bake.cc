// husk bake: an image's machine, warmed up and frozen, from which runs of the image go on.
#include "runtime/bake.h"

#include <unistd.h>

#include <memory>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/container_flags.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace husk::cli {
namespace {

struct BakeFlags {
  MachineFlags machine;
  runtime::BakeOptions options;
  std::string warm_up;
};

Result<void> bake(BakeFlags& flags) {
  runtime::BakeOptions& options = flags.options;
  HUSK_TRY(apply(flags.machine, options.container));
  if (!flags.warm_up.empty()) options.warm_up = {"/bin/sh", "-c", flags.warm_up};
  Progress progress("baking " + options.container.image);
  const auto to = [&progress](int fd) {
    return [&progress, fd](std::string_view text) {
      progress.stop();
      write_all(fd, text);
    };
  };
  return runtime::bake(options, {to(STDOUT_FILENO), to(STDERR_FILENO)});
}

}  // namespace

void add_bake(Verb& husk) {
  auto flags = std::make_shared<BakeFlags>();
  auto& container = flags->options.container;
  Verb verb = husk.verb("bake", "Ready an image's machine, for its runs to go on from");
  add_machine_flags(verb, flags->machine);
  verb.required("IMAGE", container.image, "As run has it")
      .option("--warmup", flags->warm_up, "Shell command that the image runs first")
      .option("--kernel", container.kernel, "Guest kernel instead of the default one")
      .option("--name", flags->options.name, "What `husk cache ls` calls it")
      .run([flags] { return finish(bake(*flags)); });
}

}  // namespace husk::cli
