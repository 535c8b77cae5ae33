#include "runtime/container_command.h"

#include <algorithm>

namespace husk::runtime {
namespace {

// Entrypoint and Cmd as Docker combines them.
std::vector<std::string> arguments(const ContainerOptions& options,
                                   const image::ImageConfig& image) {
  std::vector<std::string> argv =
      options.entrypoint ? std::vector<std::string>{} : image.entrypoint;
  if (options.entrypoint && !options.entrypoint->empty()) argv.push_back(*options.entrypoint);
  const bool image_command = options.command.empty() && !options.entrypoint;
  const auto& command = image_command ? image.cmd : options.command;
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

// The image's variables, each replaced by the user's of the same name.
std::vector<std::string> environment(const ContainerOptions& options,
                                     const image::ImageConfig& image) {
  std::vector<std::string> merged = image.env;
  for (const std::string& entry : options.environment) {
    const std::string prefix = entry.substr(0, entry.find('=') + 1);
    std::erase_if(merged, [&](const std::string& old) { return old.starts_with(prefix); });
    merged.push_back(entry);
  }
  return merged;
}

}  // namespace

Result<agent::RunRequest> request_for(const ContainerOptions& options,
                                      const image::ImageConfig& image) {
  agent::RunRequest request;
  request.argv = arguments(options, image);
  if (request.argv.empty())
    return fail(ErrorKind::kInvalidArgument, options.image,
                "no command: the image names none and none was given");
  request.environment = environment(options, image);
  request.working_directory =
      options.working_directory.empty() ? image.working_dir : options.working_directory;
  request.user = options.user.empty() ? image.user : options.user;
  request.terminal = options.terminal;
  request.input = options.input;
  request.rows = options.rows;
  request.columns = options.columns;
  return request;
}

}  // namespace husk::runtime
