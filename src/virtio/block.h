// The block device (virtio 1.2, section 5.2) over a BlockStore.
#pragma once

#include <memory>
#include <string>

#include "contract/block_store.h"
#include "virtio/device.h"

namespace husk::virtio {

class Block : public Device {
 public:
  // `serial` is what GET_ID tells, at most 20 bytes.
  Block(std::unique_ptr<contract::BlockStore> store, std::string serial);

  [[nodiscard]] uint32_t id() const override { return 2; }
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] uint32_t queue_count() const override { return 1; }
  [[nodiscard]] uint8_t read_config(uint64_t offset) const override;
  void activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) override;
  void reset() override;
  [[nodiscard]] Result<void> notified(uint32_t queue) override;
  // A restored driver that knew another disk is told of this one's size as it goes on. Whoever
  // restores sees to it that the guest has not read what is different now.
  void transfer_state(contract::StateArchive& state) override;
  void go_on() override;

 private:
  // The request's status byte, and in `written` how much of the data part was filled.
  uint8_t serve(const Chain& chain, uint64_t& written);
  uint8_t transfer(const Chain& chain, bool to_guest, uint64_t sector, uint64_t& written);
  uint8_t erase(const Chain& chain, bool zeroes);
  [[nodiscard]] bool in_range(uint64_t offset, uint64_t length) const;

  std::unique_ptr<contract::BlockStore> store_;
  std::string serial_;
  std::vector<uint8_t> config_;
  bool resized_ = false;
  Queue* queue_ = nullptr;
  Notifier* notifier_ = nullptr;
};

}  // namespace husk::virtio
