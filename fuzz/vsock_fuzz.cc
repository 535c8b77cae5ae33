// A hostile driver before the vsock device, and a host that opens, sends, ends, goes deaf and
// vanishes as the fuzzer likes. What must hold after every step:
//  - every packet of the device's is well formed, goes to the guest and comes from an address that
//    it may speak for; data is no more than the guest has ever said that it takes;
//  - the device writes to no stream that it has ended, reads none that has ended, and has no more
//    streams than it may have;
//  - a guest that sends more than its credit has its connection ended, so that what is held for a
//    host that does not read is bounded;
//  - a device that is held, or has needed a reset since before the step, gives no packets; one that
//    was restored has no streams.
#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "input.h"
#include "virtio/testing/device_driver.h"
#include "virtio/vsock.h"

namespace {

using namespace husk;  // NOLINT(google-build-using-namespace)
using fuzz::Input;
using fuzz::require;
using virtio::VsockHeader;
using virtio::VsockKey;
using virtio::VsockOp;
using virtio::testing::DeviceDriver;

constexpr uint32_t kReceive = 0, kTransmit = 1, kQueues = 3;
constexpr uint64_t kPacket = 0x20000, kRooms = 0x40000, kRoomSpace = 0x2000;
constexpr uint32_t kListening = 8;  // the host's ports below it are served

struct Peer {
  size_t sends = 0, takes = 0;
  bool ends = false, gone = false, deaf = false, broken = false;
};

class Stream : public contract::VsockStream {
 public:
  Stream(uint64_t id, Peer& peer, size_t& alive) : VsockStream(id), peer_(peer), alive_(alive) {
    ++alive_;
  }
  ~Stream() override { --alive_; }
  void connected(uint32_t) override {
    require(!connected_);
    connected_ = true;
  }
  Moved read(std::span<std::byte> into) override {
    require(!ended_ && !reading_ended_ && !into.empty());
    if (peer_.broken) return {0, Way::kBroken};
    const size_t n = std::min(into.size(), peer_.sends);
    std::fill_n(into.begin(), n, std::byte{0x5a});
    peer_.sends -= n;
    ended_ = n < into.size() && peer_.ends;
    return {n, ended_ ? Way::kEnded : Way::kOpen};
  }
  Moved write(std::span<const std::byte> from) override {
    require(!writing_ended_ && !from.empty());
    require(from.size() <= virtio::VsockCredit::kBufferSize);
    if (peer_.deaf) return {0, Way::kBroken};
    const size_t n = std::min(from.size(), peer_.takes);
    peer_.takes -= n;
    return {n, Way::kOpen};
  }
  void end_writing() override { writing_ended_ = true; }
  void end_reading() override { reading_ended_ = true; }
  [[nodiscard]] bool gone() const override { return peer_.gone; }

 private:
  Peer& peer_;
  size_t& alive_;
  bool connected_ = false, ended_ = false, writing_ended_ = false, reading_ended_ = false;
};

// Of everything a host can be asked for; outlives the device.
struct World {
  contract::VsockPort* port = nullptr;
  std::map<uint64_t, Peer> peers;
  size_t alive = 0;  // streams
  uint64_t next_id = 1;

  std::unique_ptr<contract::VsockStream> make() {
    const uint64_t id = next_id++;
    return std::make_unique<Stream>(id, peers[id], alive);
  }
};

class Host : public contract::VsockHost {
 public:
  explicit Host(World& world) : world_(world) {}
  void start(contract::VsockPort& port) override { world_.port = &port; }
  std::unique_ptr<contract::VsockStream> connect(uint32_t port) override {
    return port < kListening ? world_.make() : nullptr;
  }

 private:
  World& world_;
};

class Guest {
 public:
  Guest()
      : driver_(std::make_unique<virtio::Vsock>(virtio::Vsock::kGuestCid,
                                                std::make_unique<Host>(world_))) {
    start();
  }

  void operate(Input& input) {
    const uint8_t what = input.take<uint8_t>() % 12;
    const bool of_the_guest = what < 4 || what == 7 || what == 8;
    if (of_the_guest && held_) hold(false);  // a paused guest does nothing
    switch (what) {
      case 0:
      case 1:
      case 2:
        send(input);
        break;
      case 3:
        give_room(input.take<uint8_t>());
        break;
      case 4:
        world_.port->open(input.take<uint8_t>() % 4, world_.make());
        break;
      case 5:
      case 6:
        move_peer(input);
        break;
      case 7:
        driver_.notify(input.take<uint8_t>() % 4);
        break;
      case 8:
        offer_anything(input);
        break;
      case 9:
        hold(input.take<uint8_t>() % 2 != 0);
        break;
      case 10:
        restore();
        break;
      default:
        if (input.take<uint8_t>() % 8 == 0) start();
        break;
    }
    hear();
    require(world_.alive <= virtio::VsockTable::kMost);
  }

 private:
  struct Told {  // by the guest, and what it got
    uint32_t most_buffer = 0, got = 0;
  };

  void start() {
    hold(false);
    rooms_.clear();
    told_.clear();
    driver_.start(kQueues);
  }
  void hold(bool held) {
    const bool goes_on = held_ && !held;
    held_ = held;
    if (held)
      driver_.transport().hold();
    else
      driver_.transport().go_on();
    if (goes_on) hear();  // before anything else, which may break the device
  }

  void send(Input& input) {
    VsockHeader header;
    const auto shape = input.take<uint8_t>();
    header.source_cid = (shape & 0x1f) == 0x1f ? input.take<uint64_t>() : virtio::Vsock::kGuestCid;
    header.destination_cid =
        (shape & 0x1f) == 0x1e ? input.take<uint64_t>() : virtio::kVsockHostCid;
    header.type = (shape & 0x1f) == 0x1d ? input.take<uint16_t>() : virtio::kVsockStream;
    const auto ports = input.take<uint8_t>();
    header.source_port = ports & 3;
    header.destination_port = (ports & 0x80) != 0 ? (1u << 30) + (ports >> 2 & 0x1f) : ports >> 2;
    header.op = static_cast<VsockOp>(input.take<uint8_t>() % 9);
    header.flags = input.take<uint8_t>() & 7;
    header.buffer_size = input.take<uint8_t>() * 512u;
    const uint32_t size = input.take<uint16_t>();
    header.length = (shape & 0x20) != 0 ? input.take<uint32_t>() : size;
    const VsockKey key{header.destination_port, header.source_port};
    Told& told = told_[key];
    header.forwarded = (shape & 0x40) != 0 ? input.take<uint32_t>() : told.got;
    if (header.op == VsockOp::kRequest) told.got = 0;
    told.most_buffer = std::max(told.most_buffer, header.buffer_size);
    (void)driver_.memory().store(Gpa{kPacket}, header);  // its last bytes are of the payload
    put_in_chain(size, (shape & 0x80) != 0);
  }
  void put_in_chain(uint32_t payload, bool in_pieces) {
    const auto size = static_cast<uint32_t>(VsockHeader::kSize);
    if (in_pieces)
      driver_.offer(kTransmit, {{kPacket, 20, false},
                                {kPacket + 20, size - 20, false},
                                {kPacket + size, payload, false}});
    else
      driver_.offer(kTransmit, {{kPacket, size + payload, false}});
    driver_.notify(kTransmit);
    while (driver_.used(kTransmit)) {
    }
  }

  void give_room(uint8_t how) {
    if (rooms_.size() >= 8) return;
    const uint32_t size = 45 + (how & 0x7f) * 60;
    const DeviceDriver::Buffer buffer{kRooms + next_room_++ % 16 * kRoomSpace, size, true};
    if ((how & 0x80) != 0)
      driver_.offer(kReceive, {{buffer.address, 30, true}, {buffer.address + 30, size - 30, true}});
    else
      driver_.offer(kReceive, {buffer});
    rooms_.push_back(buffer);
    driver_.notify(kReceive);
  }

  void move_peer(Input& input) {
    const auto which = input.take<uint8_t>();
    const auto what = input.take<uint8_t>();
    if (world_.peers.empty()) return;
    auto found = world_.peers.begin();
    std::advance(found, which % world_.peers.size());
    Peer& peer = found->second;
    if ((what & 1) != 0) peer.sends += input.take<uint16_t>();
    if ((what & 2) != 0) peer.takes += input.take<uint16_t>();
    peer.ends |= (what & 0xc) == 0xc;
    peer.gone |= (what & 0x30) == 0x30;
    peer.deaf |= (what & 0xc0) == 0xc0;
    peer.broken |= what == 0xbe;
    world_.port->ready(found->first);
  }

  // Apart from rings and rooms, which this driver has to trust itself.
  void offer_anything(Input& input) {
    const uint32_t queue = input.take<uint8_t>() % kQueues;
    std::vector<DeviceDriver::Buffer> buffers(1 + input.take<uint8_t>() % 3);
    for (auto& buffer : buffers)
      buffer = {0x80000 + input.take<uint32_t>() % 0x90000u, input.take<uint32_t>() % 0x11000u,
                input.take<uint8_t>() % 2 != 0};
    driver_.offer(queue, buffers);
    driver_.notify(queue);
    if (queue == kReceive) start();  // which buffer was used when is not known any more
  }

  // Into a new device, as every restore is.
  void restore() {
    const auto state = driver_.state();
    auto device =
        std::make_unique<virtio::Vsock>(virtio::Vsock::kGuestCid, std::make_unique<Host>(world_));
    require(driver_.go_on_with(std::move(device), state).has_value());
    require(world_.alive == 0);
    held_ = false;
    told_.clear();
  }

  void hear() {
    const bool broken = driver_.broken();
    const bool silent = held_ || (std::exchange(was_broken_, broken) && broken);
    while (const auto length = driver_.used(kReceive)) {
      require(!silent && !rooms_.empty());
      check(*length);
      rooms_.erase(rooms_.begin());
    }
  }
  void check(uint32_t length) {
    const auto header = *driver_.memory().load<VsockHeader>(Gpa{rooms_.front().address});
    require(length >= VsockHeader::kSize && length <= rooms_.front().length);
    require(header.length == length - VsockHeader::kSize && header.type == virtio::kVsockStream);
    const auto op = static_cast<uint16_t>(header.op);
    require(op >= 1 && op <= 7 && header.destination_cid == virtio::Vsock::kGuestCid);
    require(header.source_cid == virtio::kVsockHostCid || header.op == VsockOp::kReset);
    require((header.op == VsockOp::kData) == (header.length != 0));
    if (header.op != VsockOp::kData) return;
    Told& told = told_[{header.source_port, header.destination_port}];
    require(header.length <= told.most_buffer);
    told.got += header.length;
  }

  World world_;
  DeviceDriver driver_;
  std::vector<DeviceDriver::Buffer> rooms_;
  std::map<VsockKey, Told> told_;
  uint64_t next_room_ = 0;
  bool held_ = false, was_broken_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Guest guest;
  while (!input.empty()) guest.operate(input);
  return 0;
}
