#include "backend/soft/interp/lowering.h"
namespace husk::soft::interp {
bool Lowering::simd() { return undefined(); }
}
