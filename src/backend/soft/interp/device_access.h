// Accesses that leave the CPU: ports and guest-physical space that is not RAM; and hypercalls,
// which are answered the same way.
//
// step() must return to its caller for each of them, so the instruction is abandoned and run again
// once the answer is there. An instruction may make several such accesses (MOVS between two
// devices, a read-modify-write); those that were answered are kept and replayed in order until the
// instruction completes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace husk::soft::interp {

struct DeviceRequest {
  enum class Kind : uint8_t { kMemory, kPort, kHypercall };
  Kind kind = Kind::kMemory;
  bool write = false;
  uint8_t size = 0;
  uint64_t address = 0;  // kHypercall: its number
  uint64_t data = 0;
};

class DeviceAccess {
 public:
  // One access of the present instruction. True: it was answered before; a read's value is in
  // request.data. False: it is now the request to answer, and the instruction has to be abandoned.
  bool perform(DeviceRequest& request) {
    if (replayed_ < answered_) {
      request.data = answers_[replayed_++].data;
      return true;
    }
    request_ = request;
    waiting_ = true;
    return false;
  }

  [[nodiscard]] const DeviceRequest& request() const { return request_; }
  // The caller of step() answers: a write is done, a read yields `data`.
  void answer(uint64_t data) {
    if (!waiting_) return;
    waiting_ = false;
    request_.data = data;
    if (answered_ < answers_.size()) answers_[answered_++] = request_;
  }
  [[nodiscard]] bool waiting() const { return waiting_; }
  [[nodiscard]] bool replaying() const { return answered_ != 0; }
  void rewind() { replayed_ = 0; }
  // The instruction (or one iteration of a string instruction) is complete.
  void commit() { answered_ = replayed_ = 0; }

 private:
  std::array<DeviceRequest, 160> answers_{};  // an FXSAVE to a device is the longest: 512 bytes
  size_t answered_ = 0;
  size_t replayed_ = 0;
  DeviceRequest request_{};
  bool waiting_ = false;
};

}  // namespace husk::soft::interp
