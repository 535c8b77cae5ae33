#include "control/server.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <latch>

#include "base/testing/temp_directory.h"
#include "control/client.h"
#include "net/unix_socket.h"

namespace husk::control {
namespace {

using ::testing::HasSubstr;

class ControlServer : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Server::listen(path_);
    ASSERT_TRUE(made) << made.error().message();
    server_ = std::move(*made);
    server_->on("echo", [](const Json& request) -> Result<Json> {
      return Json{{"text", request.value("text", "")}};
    });
    server_->on("refuse", [](const Json&) -> Result<Json> {
      return fail(ErrorKind::kState, "thing", "does not want to");
    });
    server_->on("large", [](const Json&) -> Result<Json> {
      return Json{{"text", std::string(600'000, 'x')}};
    });
    server_->on_slow("slow", [this](const Json& request) -> Result<Json> {
      slow_entered_.count_down();
      slow_may_end_.wait();
      return Json{{"number", request.value("number", 0)}};
    });
    server_->on_end("wait");
  }

  Result<Json> ask(const Json& request, std::optional<uint64_t> limit = kAnswerLimitNs) const {
    return control::ask(path_, request, "web", limit);
  }
  [[nodiscard]] Result<std::string> echo(const std::string& text) const {
    const auto answer = ask({{"verb", "echo"}, {"text", text}});
    if (!answer) return std::unexpected(answer.error());
    return answer->value("text", "?");
  }
  // A client of its own making.
  [[nodiscard]] base::Fd connect() const {
    base::Fd socket = net::connect_to(path_);
    EXPECT_TRUE(socket.valid());
    return socket;
  }
  static bool say(const base::Fd& socket, std::string_view text) {
    return ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  // Until the end of what the server says.
  static std::string hear(const base::Fd& socket) {
    std::string heard;
    char chunk[4096];
    for (pollfd watched{socket.get(), POLLIN, 0}; ::poll(&watched, 1, 20'000) == 1;) {
      const ssize_t n = ::recv(socket.get(), chunk, sizeof(chunk), 0);
      if (n <= 0) return heard;
      heard.append(chunk, static_cast<size_t>(n));
    }
    ADD_FAILURE() << "the server neither speaks nor hangs up";
    return heard;
  }

  base::testing::TempDirectory directory_;
  std::string path_ = directory_ / "control";
  std::latch slow_entered_{1}, slow_may_end_{1};
  std::unique_ptr<Server> server_;
};

TEST_F(ControlServer, AnswersByTheVerb) {
  server_->start();
  EXPECT_EQ(echo("hi\n\"there\""), "hi\n\"there\"");
  const auto refused = ask({{"verb", "refuse"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "web: thing: does not want to");
  EXPECT_THAT(ask({{"verb", "dance"}}).error().message(), HasSubstr("knows no such verb"));
}

TEST_F(ControlServer, RefusesWhatIsNoRequest) {
  server_->start();
  for (const char* line : {"\n", "{}\n", "[]\n", "{\"verb\":7}\n", "hello\n",
                           "{\"verb\":\"echo\"\n", "\xff\xfe\n", "{\"verb\":null}\n"}) {
    const base::Fd socket = connect();
    ASSERT_TRUE(say(socket, line));
    EXPECT_THAT(hear(socket), HasSubstr("\"ok\":false")) << line;
  }
  std::string deep(60'000, '[');
  const base::Fd socket = connect();
  ASSERT_TRUE(say(socket, deep + "\n"));
  EXPECT_THAT(hear(socket), HasSubstr("nested too deeply"));
  EXPECT_EQ(echo("still there"), "still there");
}

TEST_F(ControlServer, TakesALineInPieces) {
  server_->start();
  const base::Fd socket = connect();
  for (const char c : std::string_view("{\"verb\": \"echo\", \"text\": \"slowly\"}\n"))
    ASSERT_TRUE(say(socket, {&c, 1}));
  (void)say(socket, "and more");  // which it may have hung up on
  EXPECT_EQ(hear(socket), "{\"ok\":true,\"text\":\"slowly\"}\n");
}

TEST_F(ControlServer, ALineHasABound) {
  server_->start();
  const base::Fd socket = connect();
  const std::string flood(4096, ' ');
  for (size_t sent = 0; sent < 4 * kMaxRequest; sent += flood.size()) {
    pollfd watched{socket.get(), POLLOUT, 0};
    if (::poll(&watched, 1, 10'000) != 1 || !say(socket, flood)) break;
  }
  EXPECT_THAT(hear(socket), HasSubstr("not valid JSON"));
  EXPECT_EQ(echo("x"), "x");
}

TEST_F(ControlServer, ADeafClientAndASilentOneHoldNobodyUp) {
  server_->start();
  const base::Fd silent = connect();
  const base::Fd half = connect();
  ASSERT_TRUE(say(half, "{\"verb\": \"ec"));
  const base::Fd deaf = connect();  // the answer does not fit into a socket
  ASSERT_TRUE(say(deaf, "{\"verb\": \"large\"}\n"));
  EXPECT_EQ(echo("others"), "others");
  EXPECT_EQ(hear(deaf).size(), 600'000 + std::string_view("{\"ok\":true,\"text\":\"\"}\n").size());
}

TEST_F(ControlServer, SlowVerbsHoldUpNoFastOnes) {
  server_->start();
  auto first = std::async(std::launch::async,
                          [&] { return ask({{"verb", "slow"}, {"number", 1}}, std::nullopt); });
  auto second = std::async(std::launch::async,
                           [&] { return ask({{"verb", "slow"}, {"number", 2}}, std::nullopt); });
  slow_entered_.wait();
  EXPECT_EQ(echo("meanwhile"), "meanwhile");
  slow_may_end_.count_down();
  EXPECT_EQ(first.get()->value("number", 0), 1);
  EXPECT_EQ(second.get()->value("number", 0), 2);
}

TEST_F(ControlServer, AClientMayLeaveWhileItsAnswerIsMade) {
  server_->start();
  {
    const base::Fd leaves = connect();
    ASSERT_TRUE(say(leaves, "{\"verb\":\"slow\"}\n"));
    slow_entered_.wait();
  }
  EXPECT_EQ(echo("a"), "a");
  slow_may_end_.count_down();
  EXPECT_EQ(ask({{"verb", "slow"}, {"number", 3}})->value("number", 0), 3);
}

TEST_F(ControlServer, ThoseWhoWaitAreToldTheEnd) {
  server_->start();
  const base::Fd before = connect();
  ASSERT_TRUE(say(before, "{\"verb\":\"wait\"}\n"));
  EXPECT_EQ(ask({{"verb", "wait"}}, 50'000'000).error().kind, ErrorKind::kTimeout);
  server_->end({{"code", 7}});
  EXPECT_EQ(hear(before), "{\"code\":7,\"ok\":true}\n");
  EXPECT_EQ(ask({{"verb", "wait"}})->value("code", 0), 7);
}

TEST_F(ControlServer, TheEndIsToldBeforeTheServerGoes) {
  server_->start();
  std::vector<base::Fd> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(connect());
    ASSERT_TRUE(say(waiting.back(), "{\"verb\":\"wait\"}\n"));
  }
  ASSERT_EQ(echo("all are heard"), "all are heard");
  server_->end({{"code", 0}});
  server_.reset();
  for (const base::Fd& socket : waiting) EXPECT_EQ(hear(socket), "{\"code\":0,\"ok\":true}\n");
  EXPECT_EQ(ask({{"verb", "wait"}}).error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlServer, AProcessThatGoesWithoutAnAnswerIsAnError) {
  server_->start();
  const base::Fd waits = connect();
  ASSERT_TRUE(say(waits, "{\"verb\":\"wait\"}\n"));
  ASSERT_EQ(echo("heard"), "heard");
  server_.reset();
  EXPECT_EQ(hear(waits), "");
}

TEST_F(ControlServer, WaitingHasABoundAndThoseWhoLeaveMakeRoom) {
  server_->start();
  std::vector<base::Fd> waiting;
  for (size_t i = 0; i < Server::kMostWaiting; ++i) {
    waiting.push_back(connect());
    ASSERT_TRUE(say(waiting.back(), "{\"verb\":\"wait\"}\n"));
  }
  EXPECT_THAT(ask({{"verb", "wait"}}).error().message(), HasSubstr("too many wait"));
  EXPECT_EQ(echo("served"), "served");
  waiting.clear();
  EXPECT_EQ(ask({{"verb", "wait"}}, 50'000'000).error().kind, ErrorKind::kTimeout);
}

TEST_F(ControlServer, MoreClientsThanAreServedWaitForAPlace) {
  server_->start();
  std::vector<base::Fd> idle;
  for (size_t i = 0; i < Server::kMostClients; ++i) idle.push_back(connect());
  ASSERT_TRUE(say(idle.back(), "{\"verb\":\"wait\"}\n"));
  EXPECT_EQ(ask({{"verb", "echo"}}, 50'000'000).error().kind, ErrorKind::kTimeout);
  idle.erase(idle.begin());
  EXPECT_EQ(echo("a place is free"), "a place is free");
}

TEST_F(ControlServer, ManyAtOnceAreAllServed) {
  server_->start();
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 100; ++i) {
        const std::string text = std::to_string(thread) + " " + std::to_string(i);
        if (echo(text) == text) ++served;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, 1600);
}

TEST_F(ControlServer, ASecondProcessCannotTakeThePlace) {
  server_->start();
  EXPECT_EQ(Server::listen(path_).error().kind, ErrorKind::kState);
}

// What the client makes of servers that are none.
class HostileServer : public ::testing::Test {
 protected:
  [[nodiscard]] Result<Json> answered_with(const std::string& answer) {
    std::thread server([&] {
      pollfd watched{listener_->get(), POLLIN, 0};
      ::poll(&watched, 1, 10'000);
      const base::Fd socket(::accept4(listener_->get(), nullptr, nullptr, SOCK_CLOEXEC));
      char request[64];  // read, so that it is not sent to nobody
      (void)::recv(socket.get(), request, sizeof request, 0);
      for (size_t sent = 0; sent < answer.size();) {
        const ssize_t n =
            ::send(socket.get(), answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<size_t>(n);
      }
    });
    auto result = ask(path_, {{"verb", "x"}}, "web");
    server.join();
    return result;
  }
  base::testing::TempDirectory directory_;
  std::string path_ = directory_ / "control";
  Result<base::Fd> listener_ = net::listen_at(path_);
};

TEST_F(HostileServer, AnythingIsRefusedThatIsNoAnswer) {
  EXPECT_EQ(answered_with("").error().kind, ErrorKind::kState);
  EXPECT_EQ(answered_with("{\"ok\":true}").error().kind, ErrorKind::kState);  // no newline
  EXPECT_EQ(answered_with("nonsense\n").error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(answered_with("{\"ok\":1}\n").error().kind, ErrorKind::kBackend);
  EXPECT_EQ(answered_with("[]\n").error().kind, ErrorKind::kBackend);
  EXPECT_EQ(answered_with(std::string(2'000'000, ' ')).error().kind, ErrorKind::kLimit);
  EXPECT_EQ(answered_with("{\"ok\":true,\"a\":1}\n")->value("a", 0), 1);
}

TEST(ControlClient, ASocketThatIsNotThereIsNotRunning) {
  base::testing::TempDirectory directory;
  const auto answer = ask(directory / "none", {{"verb", "x"}}, "web");
  EXPECT_EQ(answer.error().message(), "web: is not running");
}

}  // namespace
}  // namespace husk::control
