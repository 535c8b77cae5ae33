#include "rings.h"
namespace bare {
void check_compatibility() {}
}  // namespace bare
