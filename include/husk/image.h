// What an image says about how to run it: the public value type of the room `oci`. How an image is
// read and turned into a root file system stays inside that room.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace husk::image {

// The execution defaults of an image's configuration (OCI image-spec, config.md; Docker's format
// has the same fields). An absent or null field is empty. No string holds a NUL byte. ExposedPorts
// is not kept: it does not change how a container runs.
struct ImageConfig {
  std::string architecture;  // Go's name: "amd64", "arm64"
  std::string os;            // "linux"

  // The command line is entrypoint followed by cmd; an argument list given by the user replaces
  // cmd.
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;  // "NAME=value", in the image's order
  std::string working_dir;       // empty: "/"
  // "user", "uid", "user:group" or "uid:gid" in any mix; names are the image's own (/etc/passwd),
  // so they are resolved inside the guest. Empty: root.
  std::string user;
  std::string stop_signal;  // "SIGTERM", "15"; empty: SIGTERM
  std::map<std::string, std::string> labels;
  std::vector<std::string> volumes;  // absolute mount points of data volumes, sorted

  bool operator==(const ImageConfig&) const = default;
};

}  // namespace husk::image
