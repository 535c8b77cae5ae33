// Who a command runs as: an image's user setting against the image's own /etc/passwd and
// /etc/group.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace husk::agent {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home = "/";
};

// "", "name", "uid", "name:group", "uid:gid" and mixtures, as Docker reads them. False: `error`
// says who is unknown.
bool resolve_user(const std::string& text, Identity& identity, std::string& error);

}  // namespace husk::agent
