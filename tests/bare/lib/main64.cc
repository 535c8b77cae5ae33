// The common beginning of 64-bit guests.
#include "cpu.h"
#include "descriptors.h"
#include "guest.h"
#include "report.h"

extern "C" void bare_main_64() {
  // Firmware may have left the 8259s open.
  bare::out8(0x21, 0xff);
  bare::out8(0xa1, 0xff);
  bare::load_descriptors(0);
  bare::guest_main();
  bare::finish();
}
