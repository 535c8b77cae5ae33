// The common beginning of 64-bit guests.
#include "descriptors.h"
#include "guest.h"
#include "report.h"

extern "C" void bare_main_64() {
  bare::load_descriptors(0);
  bare::guest_main();
  bare::finish();
}
