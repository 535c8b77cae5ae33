#include "paging.h"
namespace bare {
void check_addresses() {}
}  // namespace bare
