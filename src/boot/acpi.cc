#include "boot/acpi.h"

#include "base/checked.h"
#include "base/try.h"
#include "boot/acpi_table.h"
#include "boot/acpi_tables.h"
#include "boot/layout.h"

namespace husk::boot {
namespace {

constexpr size_t kRsdpSize = 36, kRsdpFirstPart = 20;
constexpr uint64_t kTableAlignment = 16, kFacsAlignment = 64;

// Hands out room behind the RSDP.
class Tables {
 public:
  explicit Tables(memory::GuestMemory& memory) : memory_(memory) {}
  Result<uint64_t> place(const Bytes& bytes, uint64_t alignment = kTableAlignment) {
    const uint64_t at = base::align_up(next_, alignment);
    if (!base::in_bounds(at, bytes.size(), kAcpiTablesEnd))
      return fail(ErrorKind::kLimit, "ACPI tables", "too many vCPUs or devices for their place");
    HUSK_TRY(memory_.write(Gpa{at}, std::as_bytes(std::span(bytes))));
    next_ = at + bytes.size();
    return at;
  }

 private:
  memory::GuestMemory& memory_;
  uint64_t next_ = kAcpiTables + kRsdpSize;
};

// Revision 2, with two checksums: the first covers what version 1 had (5.2.5.3). No RSDT.
Bytes rsdp(uint64_t xsdt) {
  Bytes out;
  put_text(out, "RSD PTR ", 8);
  put(out, 0, 1);
  put_text(out, "HUSK", 6);
  put(out, 2, 1);
  put(out, 0, 4);
  put(out, kRsdpSize, 4);
  put(out, xsdt, 8);
  put(out, 0, 4);
  out[8] = checksum(std::span(out).first(kRsdpFirstPart));
  out[32] = checksum(out);
  return out;
}

}  // namespace

Result<Gpa> write_acpi(memory::GuestMemory& memory, const AcpiConfig& config) {
  Tables tables(memory);
  const uint64_t facs_at = HUSK_TRY(tables.place(facs(), kFacsAlignment));
  const uint64_t dsdt_at = HUSK_TRY(tables.place(dsdt(config)));
  const uint64_t fadt_at = HUSK_TRY(tables.place(fadt(config, facs_at, dsdt_at)));
  const uint64_t madt_at = HUSK_TRY(tables.place(madt(config)));
  Bytes pointers;
  put(pointers, fadt_at, 8);
  put(pointers, madt_at, 8);
  const uint64_t xsdt_at = HUSK_TRY(tables.place(system_table("XSDT", 1, pointers)));
  const Bytes root = rsdp(xsdt_at);
  HUSK_TRY(memory.write(Gpa{kAcpiTables}, std::as_bytes(std::span(root))));
  return Gpa{kAcpiTables};
}

}  // namespace husk::boot
