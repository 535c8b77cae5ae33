// Commands in a guest with a real kernel: connections that are cut, snapshots in the middle of a
// conversation, and further commands beside the first. $HUSK_GUEST_DIR has the kernel,
// $HUSK_TEST_IMAGES the images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "agent/host/client.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/try.h"
#include "guest.h"
#include "oci/prepare.h"
#include "runtime/container.h"
#include "runtime/container_machine.h"
#include "runtime/hypervisor.h"
#include "runtime/machine_snapshot.h"
#include "runtime/warm_start.h"
#include "snapshot/restore.h"
#include "snapshot/store.h"

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string busybox() {
  const char* images = std::getenv("HUSK_TEST_IMAGES");
  return std::string("oci:") + (images == nullptr ? "" : images) + "/busybox";
}

// A directory of this process's, with the caches in it.
class Scratch : public ::testing::Environment {
 public:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "husk-sessions-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    path = name;
    ::setenv("HUSK_CACHE", (path + "/cache").c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(path); }
  std::string path;
};
Scratch& scratch() {
  static auto* one = static_cast<Scratch*>(::testing::AddGlobalTestEnvironment(new Scratch));
  return *one;
}
[[maybe_unused]] const Scratch& registered = scratch();

// What a command writes, which may be waited for.
class Written {
 public:
  void add(std::string_view more) {
    const std::lock_guard lock(mutex_);
    text_ += more;
    changed_.notify_all();
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  size_t size() { return text().size(); }
  bool wait(const std::function<bool(const std::string&)>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 120s, [&] { return holds(text_); });
  }
  bool wait_for(const std::string& part) {
    return wait([&](const std::string& text) { return text.find(part) != std::string::npos; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

std::string numbered_lines(int count) {
  std::string lines;
  for (int i = 1; i <= count; ++i) lines += "line " + std::to_string(i) + "\n";
  return lines;
}

class Quiet : public contract::ByteSink {
  void write(std::span<const std::byte>) override {}
};

// A container's machine whose connections and snapshots are the test's.
class Machine {
 public:
  static Result<ContainerPlan> plan() {
    ContainerPlan plan;
    plan.backend = HUSK_TRY(resolve_backend("auto"));
    plan.kernel = HUSK_TRY(find_guest_kernel(""));
    plan.config.name = "sessions";
    plan.config.namespace_name = "default";
    plan.config.kernel = plan.kernel.path;
    plan.config.cpus = 1;
    plan.config.memory_mb = 256;
    plan.config.cmdline = container_command_line();
    oci::PrepareOptions preparation;
    preparation.architecture = kImageArchitecture;
    const auto reference = HUSK_TRY(oci::parse_reference(busybox()));
    const auto image = HUSK_TRY(oci::prepare(reference, preparation));
    plan.config.root_disk = image.root_path;
    return plan;
  }
  static Result<std::unique_ptr<Machine>> start_from(const MachineState& state,
                                                     std::unique_ptr<memory::GuestMemory> memory) {
    auto one = std::make_unique<Machine>();
    const ContainerPlan wanted = HUSK_TRY(plan());
    one->made_ = HUSK_TRY(build_container_machine(wanted, one->serial_));
    HUSK_TRY(one->machine().start_from(state, std::move(memory)));
    return one;
  }
  static Result<std::unique_ptr<Machine>> start() {
    const ContainerPlan wanted = HUSK_TRY(plan());
    auto warm = HUSK_TRY(warm_start(wanted));
    return start_from(warm.state, std::move(warm.memory));
  }
  ~Machine() {
    if (made_.vm != nullptr) machine().halt();
  }
  ManagedMachine& machine() { return made_.machine(); }

  std::unique_ptr<agent::Client> client(Written& out, agent::Position position = {}) {
    auto client = std::make_unique<agent::Client>(
        agent::SessionKind::kMain,
        [this](const base::Fd& giving_up) -> Result<base::Fd> {
          base::Fd made =
              HUSK_TRY(machine().connect_vsock(agent::kPort, {.giving_up = giving_up.get()}));
          const std::lock_guard lock(mutex_);
          cut_ = base::Fd(::dup(made.get()));
          ++connections;
          return made;
        },
        agent::ClientEvents{.out = [&out](std::string_view text) { out.add(text); },
                            .err = [&out](std::string_view text) { out.add(text); }},
        std::move(position));
    client->begin();
    return client;
  }
  void cut() {
    const std::lock_guard lock(mutex_);
    if (cut_.valid()) ::shutdown(cut_.get(), SHUT_RDWR);
    cut_.reset();
  }

  std::atomic<int> connections = 0;

 private:
  Quiet serial_;
  ContainerMachine made_;
  std::mutex mutex_;
  base::Fd cut_;
};

agent::RunRequest request(std::vector<std::string> argv, bool input = false) {
  agent::RunRequest made;
  made.argv = std::move(argv);
  made.input = input;
  made.hostname = "box";
  return made;
}

std::string why(const Error& error) { return error.message(); }

constexpr int kLines = 8000;
const std::string kCount = "i=0; while [ $i -lt " + std::to_string(kLines) +
                           " ]; do i=$((i+1)); echo line $i; done; exit 5";

TEST(Cuts, EveryLineComesOnceHoweverOftenTheConnectionIsCut) {
  auto machine = Machine::start();
  ASSERT_TRUE(machine) << why(machine.error());
  Written out;
  const auto client = (*machine)->client(out);
  client->run(request({"sh", "-c", kCount}));
  const size_t whole = numbered_lines(kLines).size();
  for (size_t next = 0; next < whole; next += whole / 40) {
    ASSERT_TRUE(out.wait([&](const std::string& text) { return text.size() >= next; }));
    (*machine)->cut();
  }
  const agent::RunResult result = client->wait();
  EXPECT_TRUE(result.finished) << result.reason;
  EXPECT_EQ(result.code, 5);
  EXPECT_TRUE(out.text() == numbered_lines(kLines)) << "of " << out.size() << " bytes";
  EXPECT_GE((*machine)->connections, 10);
}

TEST(Cuts, InputArrivesOnceAndInOrder) {
  auto machine = Machine::start();
  ASSERT_TRUE(machine) << why(machine.error());
  Written out;
  const auto client = (*machine)->client(out);
  client->run(request({"cat"}, true));
  const std::string lines = numbered_lines(20000);
  const auto bytes = std::as_bytes(std::span(lines));
  size_t cuts = 0;
  for (size_t sent = 0; sent < bytes.size();) {
    const size_t n = client->send_input(bytes.subspan(sent, std::min(bytes.size() - sent, 5000ul)));
    sent += n;
    const auto caught_up = [&](const std::string& text) { return text.size() + 60000 > sent; };
    if (n == 0) {
      ASSERT_TRUE(out.wait(caught_up));
    }
    if (sent / 20000 > cuts) {
      (*machine)->cut();
      ++cuts;
    }
  }
  client->close_input();
  const agent::RunResult result = client->wait();
  EXPECT_TRUE(result.finished && result.code == 0) << result.reason;
  EXPECT_TRUE(out.text() == lines) << "of " << out.size() << " bytes";
  EXPECT_GE(cuts, 10u);
}

struct Frozen {
  MachineState state;
  std::unique_ptr<memory::GuestMemory> memory;
  agent::Position position;
};

// Through a file, as any other process would find it; `leave`: the conversation here ends with it.
Result<Frozen> freeze(ManagedMachine& machine, agent::Client& client, bool leave) {
  HUSK_TRY(machine.pause());
  Frozen frozen;
  const agent::Position position = leave ? client.leave() : client.position();
  const auto store = HUSK_TRY(snapshot::Store::open(scratch().path + "/snapshots"));
  const std::string name = "at-" + std::to_string(position.link.wanted);
  const MachineState state = HUSK_TRY(machine.capture());
  HUSK_TRY(store.write_full(name, to_contents(state), machine.guest_memory()));
  const auto chain = HUSK_TRY(store.open_chain(name));
  frozen.state = HUSK_TRY(from_contents(chain.tip().contents()));
  frozen.memory = HUSK_TRY(snapshot::restore_memory(chain));
  const auto kept = agent::decode_position(agent::encode_position(position));
  if (!kept) return fail(ErrorKind::kCorrupt, "position", "is none");
  frozen.position = *kept;
  return frozen;
}

TEST(Snapshots, OutputGoesOnInEachRestoredMachineWithNothingLostOrRepeated) {
  auto machine = Machine::start();
  ASSERT_TRUE(machine) << why(machine.error());
  Written out;
  auto client = (*machine)->client(out);
  client->run(request({"sh", "-c", kCount}));
  const size_t whole = numbered_lines(kLines).size();
  for (int generation = 1; generation <= 4; ++generation) {
    ASSERT_TRUE(
        out.wait([&](const std::string& text) { return text.size() >= whole * generation / 6; }));
    auto frozen = freeze((*machine)->machine(), *client, true);
    ASSERT_TRUE(frozen) << why(frozen.error());
    client.reset();
    machine = Machine::start_from(frozen->state, std::move(frozen->memory));
    ASSERT_TRUE(machine) << why(machine.error());
    client = (*machine)->client(out, frozen->position);
  }
  const agent::RunResult result = client->wait();
  EXPECT_TRUE(result.finished) << result.reason;
  EXPECT_EQ(result.code, 5);
  EXPECT_TRUE(out.text() == numbered_lines(kLines)) << "of " << out.size() << " bytes";
}

TEST(Snapshots, TheOriginalGoesOnTooOverItsConnection) {
  auto machine = Machine::start();
  ASSERT_TRUE(machine) << why(machine.error());
  Written out, copied;
  const auto client = (*machine)->client(out);
  client->run(request({"sh", "-c", "echo one; read line; echo got $line; exit 3"}, true));
  ASSERT_TRUE(out.wait_for("one\n"));
  auto frozen = freeze((*machine)->machine(), *client, false);
  ASSERT_TRUE(frozen) << why(frozen.error());
  ASSERT_TRUE((*machine)->machine().resume());
  auto copy = Machine::start_from(frozen->state, std::move(frozen->memory));
  ASSERT_TRUE(copy) << why(copy.error());
  const auto other = (*copy)->client(copied, frozen->position);
  EXPECT_TRUE(other->started());
  const std::string here = "here\n", there = "there\n";
  EXPECT_EQ(client->send_input(std::as_bytes(std::span(here))), here.size());
  EXPECT_EQ(other->send_input(std::as_bytes(std::span(there))), there.size());
  EXPECT_EQ(client->wait().code, 3);
  EXPECT_EQ(other->wait().code, 3);
  EXPECT_EQ(out.text(), "one\ngot here\n");
  EXPECT_EQ(copied.text(), "got there\n");
  EXPECT_EQ((*machine)->connections, 1);
}

// ---- Further commands

class Execs : public ::testing::Test {
 protected:
  // A container whose command runs until a line comes, and then exits with 9.
  void SetUp() override {
    ContainerOptions options;
    options.image = busybox();
    options.memory_bytes = 256 << 20;
    options.command = {"sh", "-c", "echo up; read line; exit 9"};
    options.environment = {"WHOSE=main", "A=1"};
    options.working_directory = "/tmp";
    options.input = true;
    options.vsock = path = scratch().path + "/vsock-" + std::to_string(::getpid());
    auto started =
        Container::start(options, {.out = [this](std::string_view text) { main_out.add(text); },
                                   .err = [this](std::string_view text) { main_out.add(text); },
                                   .serial = {},
                                   .state = {}});
    ASSERT_TRUE(started) << why(started.error());
    container = std::move(*started);
    ASSERT_TRUE(main_out.wait_for("up\n"));
  }
  struct Command {
    Written out, err;
    std::unique_ptr<RunningCommand> running;
    // "code: reason", or the error.
    std::string end() {
      const auto exit = running->wait();
      return exit ? std::to_string(exit->code) + ": " + exit->reason : why(exit.error());
    }
  };
  std::unique_ptr<Command> exec(const ExecOptions& options) {
    auto command = std::make_unique<Command>();
    auto running =
        runtime::exec(path, options,
                      {.out = [c = command.get()](std::string_view text) { c->out.add(text); },
                       .err = [c = command.get()](std::string_view text) { c->err.add(text); }});
    EXPECT_TRUE(running) << why(running.error());
    if (running) command->running = std::move(*running);
    return command;
  }
  static size_t type(RunningCommand& command, const std::string& text) {
    return command.send_input(std::as_bytes(std::span(text)));
  }
  // The main command's end.
  int end() {
    type(*container, "\n");
    const auto exit = container->wait();
    return exit ? exit->code : -1;
  }

  std::string path;
  Written main_out;
  std::unique_ptr<Container> container;
};

TEST_F(Execs, ThreeAtOnceBesideTheMainCommand) {
  std::vector<std::unique_ptr<Command>> commands;
  for (int i = 0; i < 3; ++i)
    commands.push_back(exec(
        {.argv = {"sh", "-c",
                  "echo " + std::to_string(i) + " $WHOSE $A $B in $PWD; cat; echo done >&2; exit " +
                      std::to_string(10 + i)},
         .environment = {"B=" + std::to_string(i), "A=2"},
         .input = true}));
  for (int i = 0; i < 3; ++i) {
    const std::string first = std::to_string(i) + " main 2 " + std::to_string(i) + " in /tmp\n";
    ASSERT_TRUE(commands[i]->out.wait_for(first));
    type(*commands[i]->running, "typed " + std::to_string(i));
    commands[i]->running->close_input();
    EXPECT_EQ(commands[i]->end(), std::to_string(10 + i) + ": ");
    EXPECT_EQ(commands[i]->out.text(), first + "typed " + std::to_string(i));
    EXPECT_EQ(commands[i]->err.text(), "done\n");
  }
  EXPECT_EQ(end(), 9);
  EXPECT_EQ(main_out.text(), "up\n");
}

TEST_F(Execs, UsersDirectoriesAndWhatCannotBeRun) {
  auto user =
      exec({.argv = {"sh", "-c", "id -u; pwd"}, .working_directory = "/srv", .user = "app"});
  EXPECT_EQ(user->end(), "0: ");
  EXPECT_EQ(user->out.text(), "1000\n/srv\n");
  EXPECT_THAT(exec({.argv = {"nosuch"}})->end(), HasSubstr("127: exec: \"nosuch\""));
  EXPECT_THAT(exec({.argv = {"/srv/plain"}})->end(), HasSubstr("126: exec: \"/srv/plain\""));
  EXPECT_THAT(exec({.argv = {"id"}, .user = "nobodyhere"})->end(), HasSubstr("nobodyhere"));
  EXPECT_FALSE(runtime::exec(path, {}, {}));
  EXPECT_FALSE(runtime::exec(path + "-not", {.argv = {"true"}}, {}));
  EXPECT_EQ(end(), 9);
}

TEST_F(Execs, ATerminalOfItsOwn) {
  auto shell = exec({.argv = {"sh"}, .terminal = true, .input = true, .rows = 33, .columns = 111});
  type(*shell->running, "stty size; tty; echo $((6*7))-$TERM\n");
  ASSERT_TRUE(shell->out.wait_for("42-xterm"));
  EXPECT_THAT(shell->out.text(), HasSubstr("33 111"));
  EXPECT_THAT(shell->out.text(), HasSubstr("/dev/pts/"));
  shell->running->resize(40, 120);
  type(*shell->running, "stty size\n");
  ASSERT_TRUE(shell->out.wait_for("40 120"));
  type(*shell->running, "\x03");  // the terminal's interrupt, which a shell survives
  type(*shell->running, "exit 6\n");
  EXPECT_EQ(shell->end(), "6: ");
  EXPECT_EQ(end(), 9);
}

TEST_F(Execs, SignalsReachTheirCommand) {
  auto command =
      exec({.argv = {"sh", "-c",
                     "trap 'echo caught; exit 4' USR1; echo ready; while :; do sleep 0.1; done"}});
  ASSERT_TRUE(command->out.wait_for("ready\n"));
  command->running->send_signal(SIGUSR1);
  EXPECT_EQ(command->end(), "4: ");
  EXPECT_EQ(end(), 9);
}

TEST_F(Execs, WhoGoesAwayHangsUpOnTheCommand) {
  auto command = exec({.argv = {"sh", "-c",
                                "trap 'echo hung up >/tmp/told; exit' HUP; echo ready; while :; do "
                                "sleep 0.1 2>/dev/null; done 2>/dev/null"}});
  ASSERT_TRUE(command->out.wait_for("ready\n"));
  command->running.reset();
  auto look = exec({.argv = {"sh", "-c", "until cat /tmp/told 2>/dev/null; do sleep 0.1; done"}});
  EXPECT_EQ(look->end(), "0: ");
  EXPECT_EQ(look->out.text(), "hung up\n");
  EXPECT_EQ(end(), 9);
}

TEST_F(Execs, TheEndOfTheMainCommandEndsThem) {
  auto here = container->exec({.argv = {"sleep", "1000"}}, {.out = {}, .err = {}});
  ASSERT_TRUE(here) << why(here.error());
  auto other = exec({.argv = {"sh", "-c", "echo runs; sleep 1000"}});
  ASSERT_TRUE(other->out.wait_for("runs\n"));
  EXPECT_EQ(end(), 9);
  EXPECT_EQ(other->end(), "137: ");
  const auto exit = (*here)->wait();
  ASSERT_TRUE(exit) << why(exit.error());
  EXPECT_EQ(exit->code, 137);
  here->reset();
  container.reset();
  EXPECT_FALSE(runtime::exec(path, {.argv = {"true"}}, {})) << "the machine is off";
}

TEST_F(Execs, TwentyAfterEachOtherAndAtOnceWithMuchOutput) {
  std::vector<std::unique_ptr<Command>> commands;
  for (int i = 0; i < 20; ++i)
    commands.push_back(exec({.argv = {"sh", "-c", "head -c 300000 /dev/zero"}}));
  for (const auto& command : commands) {
    EXPECT_EQ(command->end(), "0: ");
    EXPECT_EQ(command->out.size(), 300'000u);
  }
  EXPECT_EQ(end(), 9);
}

}  // namespace
}  // namespace husk::runtime
