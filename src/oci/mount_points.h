// What a container expects to find in its root, whatever the image holds.
#pragma once

#include "oci/tree.h"

namespace husk::oci {

// Creates, only where nothing of that name exists (a symbolic link counts as existing): the
// directories /dev /etc /proc /run /sys (0755) and /tmp (1777), and the empty files /etc/hostname,
// /etc/hosts and /etc/resolv.conf (0644), all root:root at time 0. Docker does likewise before it
// mounts over them. Where /etc is no directory the files are left out.
[[nodiscard]] Result<void> add_mount_points(Tree& tree);

}  // namespace husk::oci
