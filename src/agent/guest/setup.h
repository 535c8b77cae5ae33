// From an initial RAM disk to a container's root: mounts, kernel modules, the root overlay.
#pragma once

#include <string>

#include "agent/protocol/message.h"

namespace husk::agent {

// /proc, /sys and /dev of the initial RAM disk.
void mount_early();

// Loads the modules that /etc/husk/modules lists, in order. One that fails is reported on the
// console and left out.
void load_modules();

// A snapshot's guest has the time, the random numbers and the name of the moment it was taken at;
// this gives it those of now.
void take_over_moment(const Moment& moment);

// Readies what is the same for every container: it is done before a base snapshot is taken. Of what
// fails here, enter_root() tells.
void prepare_container();

// Mounts the root image with a writable layer over it and makes it the root directory. An empty
// string on success, or what went wrong.
std::string enter_root();

// Once it has entered its root: writes the guest's name where the image has none, and the machine
// id if there is one.
void write_names(const std::string& hostname, const std::string& machine_id);

// Prints a line on the serial console.
void console_line(const std::string& text);

}  // namespace husk::agent
