#include "virtio/mmio_transport.h"

#include "base/log.h"

namespace husk::virtio {
namespace {

enum Register : uint64_t {
  kMagic = 0x000,
  kVersion = 0x004,
  kDeviceId = 0x008,
  kVendorId = 0x00c,
  kDeviceFeatures = 0x010,
  kDeviceFeaturesSel = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesSel = 0x024,
  kQueueSel = 0x030,
  kQueueSizeMax = 0x034,
  kQueueSize = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = MmioTransport::kDoorbell,
  kInterruptStatus = 0x060,
  kInterruptAck = 0x064,
  kStatus = 0x070,
  kQueueDescLow = 0x080,
  kQueueDescHigh = 0x084,
  kQueueDriverLow = 0x090,
  kQueueDriverHigh = 0x094,
  kQueueDeviceLow = 0x0a0,
  kQueueDeviceHigh = 0x0a4,
  kShmLenLow = 0x0b0,
  kShmLenHigh = 0x0b4,
  kShmBaseLow = 0x0b8,
  kShmBaseHigh = 0x0bc,
  kConfigGeneration = 0x0fc,
  kConfig = 0x100,
};
constexpr uint32_t kStatusDriverOk = 4, kStatusFeaturesOk = 8, kStatusNeedsReset = 0x40,
                   kStatusOfDriver = 0xff & ~kStatusNeedsReset;
constexpr uint32_t kCauseConfig = 2;
constexpr uint32_t kMagicValue = 0x74726976, kVendor = 0x4b535548;  // "virt", "HUSK"

void set_low(uint64_t& target, uint32_t value) {
  target = (target & ~uint64_t{0xffffffff}) | value;
}
void set_high(uint64_t& target, uint32_t value) {
  target = (target & 0xffffffff) | uint64_t{value} << 32;
}

}  // namespace

MmioTransport::MmioTransport(std::unique_ptr<Device> device, memory::GuestMemory& memory,
                             contract::IrqLine irq)
    : device_(std::move(device)), memory_(memory), irq_(irq), setups_(device_->queue_count()) {}

MmioTransport::~MmioTransport() {
  const std::lock_guard lock(device_->mutex());
  device_->reset();
}

uint64_t MmioTransport::offered() const {
  return device_->features() | kFeatureVersion1 | kFeatureIndirect | kFeatureEventIndex;
}

void MmioTransport::raise(uint32_t cause) {
  const std::lock_guard lock(irq_mutex_);
  interrupt_status_ |= cause;
  irq_.set(true);
}

void MmioTransport::acknowledge(uint32_t causes) {
  const std::lock_guard lock(irq_mutex_);
  interrupt_status_ &= ~causes;
  irq_.set(interrupt_status_ != 0);
}

uint32_t MmioTransport::interrupt_status() {
  const std::lock_guard lock(irq_mutex_);
  return interrupt_status_;
}

void MmioTransport::hold() {
  const std::lock_guard lock(device_->mutex());
  device_->hold();
}

void MmioTransport::go_on() {
  const std::lock_guard lock(device_->mutex());
  device_->go_on();
}

void MmioTransport::needs_reset() {
  status_ |= kStatusNeedsReset;
  if ((status_ & kStatusDriverOk) != 0) raise(kCauseConfig);
}

uint64_t MmioTransport::read(uint64_t offset, uint32_t size) {
  if (offset == kInterruptStatus && size == 4) return interrupt_status();
  const std::lock_guard lock(device_->mutex());
  if (offset >= kConfig) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < size; ++i)
      value |= uint64_t{device_->read_config(offset - kConfig + i)} << 8 * i;
    return value;
  }
  return size == 4 && offset % 4 == 0 ? read_register(offset) : 0;
}

uint32_t MmioTransport::read_register(uint64_t offset) {
  const bool selected = queue_select_ < setups_.size();
  switch (offset) {
    case kMagic:
      return kMagicValue;
    case kVersion:
      return 2;
    case kDeviceId:
      return device_->id();
    case kVendorId:
      return kVendor;
    case kDeviceFeatures:
      return device_features_select_ > 1
                 ? 0
                 : static_cast<uint32_t>(offered() >> 32 * device_features_select_);
    case kQueueSizeMax:
      return selected ? kMaxQueueSize : 0;
    case kQueueReady:
      return selected && setups_[queue_select_].ready ? 1 : 0;
    case kStatus:
      return status_;
    case kShmLenLow:
    case kShmLenHigh:
    case kShmBaseLow:
    case kShmBaseHigh:
      return ~0u;  // no such region
    default:
      return 0;
  }
}

void MmioTransport::write(uint64_t offset, uint32_t size, uint64_t value) {
  if (offset == kInterruptAck && size == 4) return acknowledge(static_cast<uint32_t>(value));
  const std::lock_guard lock(device_->mutex());
  if (offset >= kConfig) {
    for (uint32_t i = 0; i < size; ++i)
      device_->write_config(offset - kConfig + i, static_cast<uint8_t>(value >> 8 * i));
    return;
  }
  if (size == 4 && offset % 4 == 0) write_register(offset, static_cast<uint32_t>(value));
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSel:
      device_features_select_ = value;
      return;
    case kDriverFeaturesSel:
      driver_features_select_ = value;
      return;
    case kDriverFeatures:
      if ((status_ & kStatusFeaturesOk) != 0) return;
      if (driver_features_select_ == 0) set_low(driver_features_, value);
      if (driver_features_select_ == 1) set_high(driver_features_, value);
      return;
    case kQueueSel:
      queue_select_ = value;
      return;
    case kQueueNotify:
      return notify(value);
    case kStatus:
      return write_status(value);
    default:
      return write_queue_register(offset, value);
  }
}

void MmioTransport::notify(uint32_t queue) {
  if ((status_ & (kStatusDriverOk | kStatusNeedsReset)) != kStatusDriverOk) return;
  if (queue >= queues_.size() || !queues_[queue].ready()) return;
  const auto result = device_->notified(queue);
  if (result) return;
  base::log(base::LogLevel::kDebug, "virtio device {}: {}", device_->id(),
            result.error().message());
  needs_reset();
}

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  if (queue_select_ >= setups_.size() || (status_ & kStatusDriverOk) != 0) return;
  QueueSetup& setup = setups_[queue_select_];
  switch (offset) {
    case kQueueSize:
      setup.size = value <= kMaxQueueSize ? static_cast<uint16_t>(value) : 0;  // 0: none can be
      return;
    case kQueueReady:
      setup.ready = (value & 1) != 0;
      return;
    case kQueueDescLow:
      return set_low(setup.descriptors, value);
    case kQueueDescHigh:
      return set_high(setup.descriptors, value);
    case kQueueDriverLow:
      return set_low(setup.driver, value);
    case kQueueDriverHigh:
      return set_high(setup.driver, value);
    case kQueueDeviceLow:
      return set_low(setup.device, value);
    case kQueueDeviceHigh:
      return set_high(setup.device, value);
    default:
      return;
  }
}

void MmioTransport::write_status(uint32_t value) {
  if (value == 0) return reset();
  uint32_t added = value & kStatusOfDriver & ~status_;
  if ((added & kStatusFeaturesOk) != 0) {
    const bool acceptable =
        (driver_features_ & ~offered()) == 0 && (driver_features_ & kFeatureVersion1) != 0;
    if (!acceptable) added &= ~kStatusFeaturesOk;
  }
  // Bits are only added: the driver must not clear one but by a reset (2.1.1), and a device that
  // it could start twice would run on rings that were exchanged under it.
  status_ |= added;
  if ((added & kStatusDriverOk) != 0 && (status_ & kStatusFeaturesOk) != 0) activate();
}

void MmioTransport::activate() {
  if (!make_queues()) return needs_reset();
  device_->activate(driver_features_, queues_, *this);
}

bool MmioTransport::make_queues() {
  queues_.clear();
  queues_.resize(setups_.size());
  for (size_t i = 0; i < setups_.size(); ++i) {
    const QueueSetup& setup = setups_[i];
    if (!setup.ready) continue;
    auto queue =
        Queue::create(memory_, {setup.size, Gpa{setup.descriptors}, Gpa{setup.driver},
                                Gpa{setup.device}, (driver_features_ & kFeatureEventIndex) != 0,
                                (driver_features_ & kFeatureIndirect) != 0});
    if (!queue) {
      base::log(base::LogLevel::kDebug, "virtio device {}: {}", device_->id(),
                queue.error().message());
      return false;
    }
    queues_[i] = *queue;
  }
  return true;
}

void MmioTransport::reset() {
  // Linux resets its devices when it powers off (virtio_dev_shutdown): an agent's
  // last words were lost if the doorbells' thread came too late.
  for (uint32_t queue = 0; late_notifications_ && queue < queues_.size(); ++queue) notify(queue);
  device_->reset();
  status_ = 0;
  driver_features_ = 0;
  queue_select_ = device_features_select_ = driver_features_select_ = 0;
  setups_.assign(setups_.size(), {});
  queues_.clear();
  acknowledge(~0u);
}

void MmioTransport::transfer_registers(contract::StateArchive& state) {
  state.value(status_);
  state.value(interrupt_status_);
  for (uint32_t* select : {&device_features_select_, &driver_features_select_, &queue_select_})
    state.value(*select);
  state.value(driver_features_);
  for (QueueSetup& setup : setups_) {
    state.value(setup.size);
    state.value(setup.ready);
    for (uint64_t* area : {&setup.descriptors, &setup.driver, &setup.device}) state.value(*area);
  }
}

// A driver that was ready finds its device ready, by the steps that it took itself.
void MmioTransport::transfer_state(contract::StateArchive& state) {
  const std::lock_guard lock(device_->mutex());
  uint32_t id = device_->id(), queues = queue_count();
  state.version(1);
  state.value(id);
  state.check(id == device_->id(), "another kind of device");
  state.value(queues);
  state.check(queues == queue_count(), "another number of queues");
  transfer_registers(state);
  bool running = !queues_.empty() && (status_ & kStatusNeedsReset) == 0;
  state.value(running);
  if (state.reading() && running) reactivate(state);
  if (state.failed()) return;
  if (running) {
    for (Queue& queue : queues_) queue.transfer_state(state);
  }
  device_->transfer_state(state);
}

void MmioTransport::reactivate(contract::StateArchive& state) {
  state.check((driver_features_ & ~offered()) == 0, "features that this device has not");
  state.check(make_queues(), "a queue that cannot be");
  if (!state.failed()) device_->activate(driver_features_, queues_, *this);
}

void MmioTransport::have_all_queues_looked_at() {
  const std::lock_guard lock(device_->mutex());
  for (uint32_t queue = 0; queue < queues_.size(); ++queue) notify(queue);
}

}  // namespace husk::virtio
