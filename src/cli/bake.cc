// husk bake: an image's machine, warmed up and frozen, from which runs of the image go on.
#include "runtime/bake.h"

#include <unistd.h>

#include "base/try.h"
#include "cli/attend.h"
#include "cli/container_flags.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace husk::cli {
namespace {

struct BakeFlags {
  ContainerFlags machine;
  runtime::BakeOptions options;
  std::string warm_up;
};

Result<void> bake(BakeFlags& flags) {
  runtime::BakeOptions& options = flags.options;
  HUSK_TRY(resolve(flags.machine, options.container));
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

void add_bake(CLI::App& app, Action& chosen) {
  auto flags = std::make_shared<BakeFlags>();
  auto* verb = app.add_subcommand("bake", "Ready an image's machine, for its runs to go on from");
  verb->add_option("IMAGE", flags->options.container.image, "As run has it")->required();
  verb->add_option("--warmup", flags->warm_up, "Shell command that the image runs first");
  verb->add_option("--name", flags->options.name, "What `husk cache ls` calls it");
  add_container_flags(*verb, flags->machine, flags->options.container);
  verb->callback([flags, &chosen] {
    chosen = [flags] {
      const auto baked = bake(*flags);
      return baked ? 0 : report(baked.error());
    };
  });
}

}  // namespace husk::cli
