// husk cache: the verbs below it.
#include "cli/cache/verbs.h"

namespace husk::cli {

void add_cache(Verb& husk) {
  Verb cache = husk.verb("cache", "What is kept to be faster the next time");
  add_cache_ls(cache);
  add_cache_prune(cache);
}

}  // namespace husk::cli
