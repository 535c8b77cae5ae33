#include "net/vsock_unix.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <vector>

#include "net/unix_socket.h"
#include "net/vsock_greeting.h"

namespace husk::net {
namespace {

using contract::VsockStream;

// What the device would be told.
class Port : public contract::VsockPort {
 public:
  void open(uint32_t guest_port, std::unique_ptr<VsockStream> stream) override {
    const std::lock_guard lock(mutex_);
    opened_.emplace_back(guest_port, std::move(stream));
    changed_.notify_all();
  }
  void ready(uint64_t id) override {
    const std::lock_guard lock(mutex_);
    ready_.push_back(id);
    changed_.notify_all();
  }
  std::pair<uint32_t, std::unique_ptr<VsockStream>> next_opened() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kLong, [&] { return !opened_.empty(); })) return {};
    auto next = std::move(opened_.front());
    opened_.erase(opened_.begin());
    return next;
  }
  // Forgets what came before.
  void forget_ready() {
    const std::lock_guard lock(mutex_);
    ready_.clear();
  }
  bool becomes_ready(uint64_t id) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [&] { return std::ranges::count(ready_, id) != 0; });
  }

 private:
  static constexpr std::chrono::seconds kLong{10};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<uint32_t, std::unique_ptr<VsockStream>>> opened_;
  std::vector<uint64_t> ready_;
};

void put(const base::Fd& socket, std::string_view text) {
  ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}
// What comes next, or nothing at the end.
std::string get(const base::Fd& socket) {
  pollfd wait{socket.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  char bytes[256];
  const ssize_t n = ::recv(socket.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
  EXPECT_GE(n, 0) << "neither bytes nor the end";
  return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : "";
}
std::string read_some(VsockStream& stream) {
  std::string text(100, '\0');
  text.resize(stream.read(std::as_writable_bytes(std::span(text))).bytes);
  return text;
}
VsockStream::Moved write_text(VsockStream& stream, std::string_view text) {
  return stream.write(std::as_bytes(std::span(text)));
}

class VsockUnixTest : public ::testing::Test {
 protected:
  VsockUnixTest() {
    char name[] = "/tmp/husk-vsock-XXXXXX";
    directory_ = ::mkdtemp(name);
    path_ = directory_ + "/v";
    auto made = VsockUnix::create(path_);
    if (!made) return;
    host_ = std::move(*made);
    host_->start(port_);
  }
  ~VsockUnixTest() override {
    host_.reset();
    std::filesystem::remove_all(directory_);
  }
  // A client that has greeted, and the stream that the device got for it.
  std::unique_ptr<VsockStream> greet(base::Fd& client, std::string_view line = "CONNECT 7\n") {
    client = connect_to(path_);
    put(client, line);
    auto [port, stream] = port_.next_opened();
    EXPECT_EQ(port, 7u);
    return std::move(stream);
  }

  std::string directory_, path_;
  Port port_;
  std::unique_ptr<VsockUnix> host_;
};

TEST(VsockGreeting, IsOneVerbAndAPort) {
  EXPECT_EQ(parse_greeting("CONNECT 1024"), 1024u);
  EXPECT_EQ(parse_greeting("CONNECT 4294967295"), 4294967295u);
  for (const char* bad : {"", "CONNECT", "CONNECT ", "connect 1", "CONNECT 1 ", "CONNECT -1",
                          "CONNECT  1", "CONNECT 4294967296", "CONNECT 0x10", "GET / HTTP/1.1"})
    EXPECT_FALSE(parse_greeting(bad)) << bad;
}

TEST_F(VsockUnixTest, TheSocketIsTheUsersAlone) {
  struct stat st{};
  ASSERT_EQ(::stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  host_.reset();
  EXPECT_NE(::stat(path_.c_str(), &st), 0) << "it goes with the machine";
}

TEST_F(VsockUnixTest, AHostConnectsAndTalks) {
  base::Fd client;
  const auto stream = greet(client, "CONNECT 7\nand more");
  ASSERT_TRUE(stream);
  stream->connected(1234);
  EXPECT_EQ(get(client), "OK 1234\n");
  EXPECT_EQ(read_some(*stream), "and more");
  EXPECT_EQ(write_text(*stream, "hello").bytes, 5u);
  EXPECT_EQ(get(client), "hello");
}

TEST_F(VsockUnixTest, AGreetingMayComeInPieces) {
  base::Fd client = connect_to(path_);
  put(client, "CONN");
  ::usleep(20'000);
  put(client, "ECT 7");
  ::usleep(20'000);
  put(client, "\n");
  EXPECT_EQ(port_.next_opened().first, 7u);
}

TEST_F(VsockUnixTest, OtherGreetingsAreHungUpOn) {
  for (const char* bad : {"HELLO 7\n", "\n", "CONNECT 7 \n", "a line that has no end so far..."}) {
    base::Fd client = connect_to(path_);
    put(client, bad);
    EXPECT_EQ(get(client), "") << bad;
  }
  base::Fd client = connect_to(path_);
  put(client, "CONNECT");
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(get(client), "");
}

TEST_F(VsockUnixTest, PeersThatSayNothingAreLimited) {
  std::vector<base::Fd> silent;
  for (size_t i = 0; i < VsockUnix::kMostGreetings; ++i) {
    silent.push_back(connect_to(path_));
    ASSERT_TRUE(silent.back().valid()) << i;
    if (i % 32 == 0) ::usleep(20'000);  // to accept them, for the backlog has an end as well
  }
  base::Fd late = connect_to(path_);
  EXPECT_EQ(get(late), "");
  silent.clear();
  ::usleep(100'000);
  base::Fd client;
  EXPECT_TRUE(greet(client));
}

TEST_F(VsockUnixTest, ChangesAreTold) {
  base::Fd client;
  const auto stream = greet(client);
  ASSERT_TRUE(stream);
  EXPECT_EQ(read_some(*stream), "");
  port_.forget_ready();
  put(client, "x");
  EXPECT_TRUE(port_.becomes_ready(stream->id()));
  EXPECT_EQ(read_some(*stream), "x");

  const std::string much(4 << 20, 'y');
  const size_t fit = write_text(*stream, much).bytes;
  EXPECT_LT(fit, much.size());
  port_.forget_ready();
  for (size_t read = 0; read < fit;) read += get(client).size();
  EXPECT_TRUE(port_.becomes_ready(stream->id())) << "there is room again";

  port_.forget_ready();
  client.reset();
  EXPECT_TRUE(port_.becomes_ready(stream->id()));
  EXPECT_TRUE(stream->gone());
}

TEST_F(VsockUnixTest, HalvesEndOneByOne) {
  base::Fd client;
  const auto stream = greet(client);
  ASSERT_TRUE(stream);
  put(client, "last");
  ::shutdown(client.get(), SHUT_WR);
  std::array<std::byte, 10> bytes;
  const VsockStream::Moved moved = stream->read(bytes);
  EXPECT_EQ(moved.bytes, 4u);
  EXPECT_EQ(moved.way, VsockStream::Way::kEnded);
  EXPECT_FALSE(stream->gone());
  EXPECT_EQ(write_text(*stream, "back").bytes, 4u);
  stream->end_writing();
  EXPECT_EQ(get(client), "back");
  EXPECT_EQ(get(client), "");
  EXPECT_TRUE(stream->gone());
}

TEST_F(VsockUnixTest, WritingToOneWhoLeftIsAnErrorAndNoSignal) {
  base::Fd client;
  const auto stream = greet(client);
  ASSERT_TRUE(stream);
  client.reset();
  EXPECT_EQ(write_text(*stream, "x").way, VsockStream::Way::kBroken);
}

TEST_F(VsockUnixTest, AGuestReachesWhoListensAtItsPortsPath) {
  EXPECT_EQ(host_->connect(52), nullptr);
  const auto listener = listen_at(path_ + "_52");
  ASSERT_TRUE(listener);
  const auto stream = host_->connect(52);
  ASSERT_NE(stream, nullptr);
  const base::Fd server(::accept(listener->get(), nullptr, nullptr));
  write_text(*stream, "from the guest");
  EXPECT_EQ(get(server), "from the guest");
  put(server, "to the guest");
  EXPECT_TRUE(port_.becomes_ready(stream->id()));
  EXPECT_EQ(read_some(*stream), "to the guest");
}

TEST_F(VsockUnixTest, AFullBacklogRefuses) {
  const auto listener = listen_at(path_ + "_52");
  ASSERT_TRUE(listener);
  ASSERT_EQ(::listen(listener->get(), 1), 0);
  std::vector<std::unique_ptr<VsockStream>> waiting;
  while (waiting.size() < 10) {
    auto stream = host_->connect(52);
    if (stream == nullptr) break;
    waiting.push_back(std::move(stream));
  }
  EXPECT_LT(waiting.size(), 10u) << "nobody waits in the device";
}

TEST_F(VsockUnixTest, ADescriptorIsASocketToTheGuest) {
  const auto socket = host_->open(9);
  ASSERT_TRUE(socket);
  const auto [port, stream] = port_.next_opened();
  EXPECT_EQ(port, 9u);
  stream->connected(77);
  EXPECT_EQ(get(*socket), "OK 77\n");
}

TEST_F(VsockUnixTest, ASocketInUseIsRefusedAndADesertedOneReplaced) {
  const auto again = VsockUnix::create(path_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kState);
  const std::string deserted = directory_ + "/deserted";
  listen_at(deserted)->reset();
  EXPECT_TRUE(VsockUnix::create(deserted));
  const std::string file = directory_ + "/file";
  ASSERT_TRUE(base::open_file(file, O_CREAT | O_RDWR, "file", 0600));
  EXPECT_FALSE(VsockUnix::create(file));
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(VsockUnixTest, PathsThatAreTooLongAreRefused) {
  EXPECT_EQ(VsockUnix::create(directory_ + "/" + std::string(100, 'x')).error().kind,
            ErrorKind::kInvalidArgument);
  EXPECT_FALSE(VsockUnix::create("/nonexistent/directory/v"));
}

TEST(VsockUnix, WithoutAPathOnlyDescriptorsConnect) {
  Port port;
  const auto host = VsockUnix::create("");
  ASSERT_TRUE(host);
  (*host)->start(port);
  EXPECT_EQ((*host)->connect(1), nullptr);
  EXPECT_TRUE((*host)->open(1));
  EXPECT_EQ(port.next_opened().first, 1u);
}

TEST(VsockUnix, EndsWithoutHavingStarted) { EXPECT_TRUE(VsockUnix::create("")); }

}  // namespace
}  // namespace husk::net
