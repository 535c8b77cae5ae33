// The device, its host's sockets and a guest's driver together, with real descriptors and threads.
#include "runtime/vsock_link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "virtio/testing/vsock_driver.h"

namespace husk::runtime {
namespace {

using virtio::VsockHeader;
using virtio::VsockOp;
using virtio::testing::VsockDriver;
using virtio::testing::VsockPacket;

constexpr uint64_t kLong = 20'000'000'000;

// A guest that accepts every connection to ports below 100 and sends back what it gets, on a thread
// of its own. Whatever it hears of anything else it refuses.
class EchoingGuest {
 public:
  explicit EchoingGuest(std::unique_ptr<virtio::Device> device)
      : driver_(std::move(device)), thread_([this] { run(); }) {}
  ~EchoingGuest() { stop(); }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  size_t open_connections() const { return open_.size(); }  // once stopped

 private:
  void run() {
    driver_.give_room(8);
    while (!stopping_) {
      if (const auto packet = driver_.hear()) {
        driver_.give_room(1);
        answer(*packet);
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }
  }
  void answer(const VsockPacket& packet) {
    VsockHeader reply;
    reply.source_port = packet.header.destination_port;
    reply.destination_port = packet.header.source_port;
    reply.buffer_size = 64 * 1024;
    const uint32_t connection = packet.header.source_port;
    switch (packet.header.op) {
      case VsockOp::kRequest:
        if (reply.source_port >= 1000) return;  // a guest that does not answer
        reply.op = reply.source_port < 100 ? VsockOp::kResponse : VsockOp::kReset;
        if (reply.op == VsockOp::kResponse) open_.insert(connection);
        return driver_.send(reply);
      case VsockOp::kData:
        reply.forwarded = forwarded_[connection] += packet.header.length;
        reply.op = VsockOp::kData;
        reply.length = packet.header.length;
        return driver_.send(reply, packet.payload);
      case VsockOp::kShutdown:
        reply.op = VsockOp::kShutdown;
        reply.flags = virtio::kVsockNeither;
        return driver_.send(reply);
      case VsockOp::kReset:
        open_.erase(connection);
        return;
      default:
        return;
    }
  }

  VsockDriver driver_;
  std::map<uint32_t, uint32_t> forwarded_;
  std::set<uint32_t> open_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::string read_all(const base::Fd& socket, size_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::recv(socket.get(), text.data() + done, size - done, 0);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

class VsockLinkTest : public ::testing::Test {
 protected:
  VsockLinkTest() {
    guest_ =
        std::make_unique<EchoingGuest>(std::move(*link_.make_device(VirtioDeviceConfig::vsock())));
  }
  VsockLink link_;
  std::unique_ptr<EchoingGuest> guest_;
};

TEST_F(VsockLinkTest, HandsOverADescriptorThatTheGuestAnswersOn) {
  const auto socket = link_.connect(5, {.limit_ns = kLong});
  ASSERT_TRUE(socket) << socket.error().message();
  ASSERT_EQ(::send(socket->get(), "echo", 4, 0), 4);
  EXPECT_EQ(read_all(*socket, 4), "echo") << "and nothing of the greeting";
}

TEST_F(VsockLinkTest, APortThatTheGuestRefusesIsNotFound) {
  const auto socket = link_.connect(500, {.limit_ns = kLong});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().kind, ErrorKind::kNotFound);
}

TEST_F(VsockLinkTest, AGuestThatDoesNotAnswerTimesOut) {
  const auto socket = link_.connect(1000, {.limit_ns = 50'000'000});
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().kind, ErrorKind::kTimeout);
}

TEST_F(VsockLinkTest, AHalfClosedStreamEndsWithWhatTheGuestStillSent) {
  const auto socket = link_.connect(5, {.limit_ns = kLong});
  ASSERT_TRUE(socket);
  ASSERT_EQ(::send(socket->get(), "last", 4, 0), 4);
  ::shutdown(socket->get(), SHUT_WR);
  EXPECT_EQ(read_all(*socket, 100), "last");
}

// Both directions at once, more than all buffers between them hold.
TEST_F(VsockLinkTest, ManyStreamsAtOnceStayWhole) {
  constexpr size_t kBytes = 300'000;
  std::vector<std::thread> users;
  std::atomic<int> good{0};
  for (uint32_t number = 0; number < 8; ++number)
    users.emplace_back([&, number] {
      const auto socket = link_.connect(number, {.limit_ns = kLong});
      if (!socket) return;
      std::string data(kBytes, '\0');
      for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * (number + 3) >> 4);
      std::thread sender([&] {
        for (size_t at = 0; at < data.size();) {
          const ssize_t n = ::send(socket->get(), data.data() + at, data.size() - at, MSG_NOSIGNAL);
          if (n <= 0) return;
          at += static_cast<size_t>(n);
        }
      });
      good += read_all(*socket, kBytes) == data ? 1 : 0;
      sender.join();
    });
  for (std::thread& user : users) user.join();
  EXPECT_EQ(good, 8);
}

TEST_F(VsockLinkTest, PeersThatVanishLeaveNothingInTheGuest) {
  for (int i = 0; i < 50; ++i) {
    const auto socket = link_.connect(5, {.limit_ns = kLong});
    ASSERT_TRUE(socket);
    (void)::send(socket->get(), "unread", 6, MSG_NOSIGNAL);
  }
  // The next one is answered after those have gone.
  const auto socket = link_.connect(5, {.limit_ns = kLong});
  ASSERT_TRUE(socket);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  guest_->stop();
  EXPECT_EQ(guest_->open_connections(), 1u);
}

TEST_F(VsockLinkTest, GoesWhileOthersConnect) {
  std::atomic<bool> stop{false};
  std::thread user([&] {
    while (!stop) (void)link_.connect(5, {.limit_ns = 10'000'000});
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stop = true;
  user.join();
  guest_.reset();
}

}  // namespace
}  // namespace husk::runtime
