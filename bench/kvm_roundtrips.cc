// Round trips a second from the guest to a device and back, through the run loop that every machine
// has, and through a loop of nothing but the raw ioctl: what the seam costs. Both run the same
// guest on the same /dev/kvm in turn.
//
// Usage: kvm_roundtrips OUT.json [ROUNDS]
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "base/clock.h"
#include "memory/guest_memory.h"
#include "platform/bus.h"
#include "runtime/run_loop.h"

namespace husk {
namespace {

constexpr uint64_t kResetPage = 0xfffff000, kDevice = 0x20000;
// The loop's pages and the reset vector's.
constexpr std::array<memory::RegionSpec, 2> kRam{{{Gpa{0}, 0x2000}, {Gpa{kResetPage}, 0x1000}}};
constexpr uint16_t kPort = 0x80;
constexpr int kTrips = 20'000;  // in each round

// A processor starts in real mode at 0xfffffff0: the jump there leads to the loop at 0x1000.
constexpr std::array<uint8_t, 5> kResetCode{0xea, 0x00, 0x10, 0x00, 0x00};
// mov $0x80,%dx; 1: out %al,%dx; jmp 1b
constexpr std::array<uint8_t, 6> kPortLoop{0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd};
// mov $0x2000,%ax; mov %ax,%ds; 1: mov %al,(0); jmp 1b
constexpr std::array<uint8_t, 10> kMmioLoop{0xb8, 0x00, 0x20, 0x8e, 0xd8,
                                            0xa2, 0x00, 0x00, 0xeb, 0xfb};

[[noreturn]] void die(const std::string& what) {
  fmt::print(stderr, "kvm_roundtrips: {}\n", what);
  std::exit(1);
}

template <class T>
T or_die(Result<T> result) {
  if (!result) die(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

int or_die(int result, const char* what) {
  if (result < 0) die(std::string(what) + ": " + std::strerror(errno));
  return result;
}

struct Ram {
  explicit Ram(std::span<const uint8_t> loop) : memory(or_die(memory::GuestMemory::create(kRam))) {
    or_die(memory->write(Gpa{0x1000}, std::as_bytes(loop)));
    or_die(memory->write(Gpa{kResetPage + 0xff0}, std::as_bytes(std::span(kResetCode))));
  }
  std::byte* host(uint64_t gpa, uint64_t length) {
    return or_die(memory->host_span(Gpa{gpa}, length)).data();
  }

  std::unique_ptr<memory::GuestMemory> memory;
};

// What anybody would write first.
class RawLoop {
 public:
  explicit RawLoop(std::span<const uint8_t> loop) : ram_(loop) {
    kvm_ = or_die(::open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    vm_ = or_die(::ioctl(kvm_, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    for (uint32_t slot = 0; const auto& region : kRam) map(slot++, region.start.value, region.size);
    vcpu_ = or_die(::ioctl(vm_, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    const int size = or_die(::ioctl(kvm_, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    void* const area =
        ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_, 0);
    if (area == MAP_FAILED) die("mmap of the vCPU's area");
    run_ = static_cast<kvm_run*>(area);
  }
  ~RawLoop() {
    ::close(vcpu_);
    ::close(vm_);
    ::close(kvm_);
  }
  RawLoop(const RawLoop&) = delete;
  RawLoop& operator=(const RawLoop&) = delete;

  void trips(int count) {
    while (count > 0) {
      or_die(::ioctl(vcpu_, KVM_RUN, 0), "KVM_RUN");
      switch (run_->exit_reason) {
        case KVM_EXIT_IO:
          seen_ += reinterpret_cast<const uint8_t*>(run_)[run_->io.data_offset];
          --count;
          break;
        case KVM_EXIT_MMIO:
          seen_ += run_->mmio.data[0];
          --count;
          break;
        default:
          die(fmt::format("exit {}", uint32_t{run_->exit_reason}));
      }
    }
  }

 private:
  void map(uint32_t slot, uint64_t gpa, uint64_t length) {
    kvm_userspace_memory_region region{};
    region.slot = slot;
    region.guest_phys_addr = gpa;
    region.memory_size = length;
    region.userspace_addr = reinterpret_cast<uint64_t>(ram_.host(gpa, length));
    or_die(::ioctl(vm_, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  }

  Ram ram_;
  int kvm_ = -1, vm_ = -1, vcpu_ = -1;
  kvm_run* run_ = nullptr;
  uint64_t seen_ = 0;
};

// A device that stops the machine after so many writes.
class Counter : public contract::IoHandler {
 public:
  [[nodiscard]] std::string_view name() const override { return "counter"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t, uint32_t, uint64_t value) override {
    seen_ += value;
    if (--left_ == 0) end_->reach(runtime::EndReason::kStopped, 0);
  }
  void expect(int writes, runtime::MachineEnd& end) {
    left_ = writes;
    end_ = &end;
  }

 private:
  int left_ = 0;
  uint64_t seen_ = 0;
  runtime::MachineEnd* end_ = nullptr;
};

// As a machine does it: the VM as users get it, and buses with as many devices as a board has.
class HuskLoop {
 public:
  explicit HuskLoop(std::span<const uint8_t> loop)
      : ram_(loop), vm_(or_die(kvm::KvmVm::create(1))) {
    for (const auto& [gpa, size] : kRam)
      or_die(vm_->map_ram(ram_.host(gpa.value, size), gpa.value, size, seam::Prot::kReadWriteExec));
    vcpu_ = or_die(vm_->create_vcpu(0));
    for (uint64_t other = 0; other < kOthers; ++other) {
      or_die(ports_.attach(0x200 + other * 16, 8, other_));
      or_die(mmio_.attach(0xd0000000 + other * 0x1000, 0x1000, other_));
    }
    or_die(ports_.attach(kPort, 1, counter_));
    or_die(mmio_.attach(kDevice, 0x1000, counter_));
  }

  void trips(int count) {
    runtime::MachineEnd end;
    runtime::DebugGate debug(end);
    counter_.expect(count, end);
    runtime::run_vcpu(*vcpu_, 0, ports_, mmio_, end, debug);
    if (end.reason() != runtime::EndReason::kStopped) die(fmt::format("exit {}", end.code()));
  }

 private:
  static constexpr uint64_t kOthers = 10;

  Ram ram_;
  std::unique_ptr<kvm::KvmVm> vm_;
  std::unique_ptr<kvm::KvmVcpu> vcpu_;
  Counter counter_, other_;
  platform::Bus ports_, mmio_;
};

double per_second(auto& loop) {
  const uint64_t start = base::monotonic_ns();
  loop.trips(kTrips);
  return kTrips / (static_cast<double>(base::monotonic_ns() - start) / 1e9);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values)
    text += fmt::format("{}{:.0f}", text.empty() ? "" : ", ", value);
  return "[" + text + "]";
}

// Prints a line; returns a JSON object.
std::string measure(const char* name, std::span<const uint8_t> code, int rounds) {
  RawLoop raw(code);
  HuskLoop husk(code);
  std::vector<double> raws, husks, ratios;
  for (int i = 0; i < rounds; ++i) {  // in turn, so that a noisy moment hits both
    raws.push_back(per_second(raw));
    husks.push_back(per_second(husk));
    ratios.push_back(husks.back() / raws.back());
  }
  fmt::print("round trips of a {} write: husk {:.0f}/s, raw ioctl {:.0f}/s, ratio {:.3f}\n", name,
             median(husks), median(raws), median(ratios));
  return fmt::format("\"{}\": {{\"unit\": \"1/s\", \"husk\": {}, \"raw\": {}, \"ratio\": {:.4f}}}",
                     name, list(husks), list(raws), median(ratios));
}

int run(const char* path, int rounds) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    fmt::print("round trips: left out, /dev/kvm cannot be opened\n");
    return 0;
  }
  std::string text = "{" + measure("port", kPortLoop, rounds);
  text += ",\n " + measure("mmio", kMmioLoop, rounds) + "}\n";
  std::FILE* const file = std::fopen(path, "w");
  if (file == nullptr || std::fputs(text.c_str(), file) < 0 || std::fclose(file) != 0)
    die(std::string(path) + ": " + std::strerror(errno));
  return 0;
}

}  // namespace
}  // namespace husk

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: kvm_roundtrips OUT.json [ROUNDS]\n");
    return 2;
  }
  return husk::run(argv[1], argc == 3 ? std::max(1, std::atoi(argv[2])) : 15);
}
