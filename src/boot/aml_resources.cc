// Resource descriptors (ACPI 6.5, 6.4): small ones have their length in the tag, large ones (tag
// 0x80 and up) after it.
#include "boot/aml.h"

namespace husk::boot::aml {
namespace {

enum Tag : uint8_t {
  kIoPort = 0x47,
  kEnd = 0x79,
  kMemory32Fixed = 0x86,
  kExtendedInterrupt = 0x89,
  kQwordAddress = 0x8a,
};

Bytes large(Tag tag, const Bytes& body) {
  Bytes out;
  put(out, tag, 1);
  put(out, body.size(), 2);
  append(out, body);
  return out;
}

}  // namespace

Bytes memory32_fixed(uint32_t base, uint32_t size) {
  Bytes body;
  put(body, 1, 1);  // read and write
  put(body, base, 4);
  put(body, size, 4);
  return large(kMemory32Fixed, body);
}

Bytes qword_memory(uint64_t base, uint64_t size) {
  constexpr uint8_t kMemoryRange = 0, kConsumerFixedRange = 0x0d, kReadWrite = 1;
  Bytes body;
  put(body, kMemoryRange, 1);
  put(body, kConsumerFixedRange, 1);
  put(body, kReadWrite, 1);
  put(body, 0, 8);  // granularity
  put(body, base, 8);
  put(body, base + size - 1, 8);
  put(body, 0, 8);  // translation
  put(body, size, 8);
  return large(kQwordAddress, body);
}

Bytes interrupt(uint32_t gsi, Trigger trigger) {
  constexpr uint8_t kConsumer = 1, kEdgeTriggered = 2;
  Bytes body;
  put(body, kConsumer | (trigger == Trigger::kEdge ? kEdgeTriggered : 0), 1);
  put(body, 1, 1);  // one interrupt
  put(body, gsi, 4);
  return large(kExtendedInterrupt, body);
}

Bytes io_ports(uint16_t base, uint8_t count) {
  Bytes out;
  put(out, kIoPort, 1);
  put(out, 1, 1);  // all 16 address bits are decoded
  put(out, base, 2);
  put(out, base, 2);
  put(out, 1, 1);  // alignment
  put(out, count, 1);
  return out;
}

Bytes resources(std::initializer_list<Bytes> descriptors) {
  Bytes list;
  for (const Bytes& descriptor : descriptors) append(list, descriptor);
  put(list, kEnd, 1);
  put(list, 0, 1);  // a checksum of 0 stands for none
  return name("_CRS", buffer(list));
}

}  // namespace husk::boot::aml
