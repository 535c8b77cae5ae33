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

// Where users and groups are listed. One that is missing, no regular file or very long lists
// nobody.
struct UserFiles {
  const char* passwd = "/etc/passwd";
  const char* group = "/etc/group";
};

// "", "name", "uid", "name:group", "uid:gid" and mixtures, as Docker reads them. False: `error`
// says who is unknown, or which number is none.
bool resolve_user(const std::string& text, Identity& identity, std::string& error,
                  const UserFiles& files = {});

}  // namespace husk::agent
