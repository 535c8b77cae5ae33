#include "oci/crc32c.h"

namespace husk::oci {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected, RFC 3720 appendix B

}  // namespace

uint32_t crc32c(uint32_t seed, std::string_view data) {
  for (const char byte : data) {
    seed ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) seed = (seed >> 1) ^ (seed & 1 ? kPolynomial : 0);
  }
  return seed;
}

}  // namespace husk::oci
