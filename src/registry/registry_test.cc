#include "registry/registry.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "base/clock.h"
#include "base/testing/temp_directory.h"
#include "base/try.h"

namespace husk::registry {
namespace {

using base::testing::listed;
using base::testing::TempDirectory;
using base::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Record named(const std::string& name) {
  Record record;
  record.name = name;
  record.image = "oci:x";
  record.command = {"echo", "a b"};
  return record;
}

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(registry_); }

  Machine create(const std::string& name, bool remove = false) const {
    Record record = named(name);
    record.remove = remove;
    auto machine = registry_->create(std::move(record));
    EXPECT_TRUE(machine) << machine.error().message();
    return std::move(*machine);
  }
  static void set_state(Machine& machine, State state) {
    machine.record.state = state;
    EXPECT_TRUE(machine.folder.write(machine.record, false));
  }
  // As if a process had it that is gone.
  static void orphan(Machine& machine, State state) {
    machine.record.owner = Owner{{machine.record.owner->process.pid(),
                                  *machine.record.owner->process.start_time_ticks() - 1},
                                 machine.record.owner->boot_id};
    set_state(machine, state);
  }
  [[nodiscard]] std::vector<Machine> all() const {
    auto list = registry_->list();
    EXPECT_TRUE(list);
    return list ? std::move(*list) : std::vector<Machine>();
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Machine& machine : all()) names.push_back(machine.record.name);
    return names;
  }
  [[nodiscard]] std::vector<std::string> folders() const { return listed(machines_); }

  TempDirectory directory_{base::testing::fast_place()};
  Result<Registry> registry_ = Registry::open(directory_ / "state");
  std::string machines_ = directory_ / "state/machines";
};

TEST_F(RegistryTest, AMachineIsFoundByAllItsNames) {
  const Machine web = create("web");
  EXPECT_EQ(web.record.id.size(), 64U);
  EXPECT_EQ(web.record.state, State::kCreated);
  EXPECT_EQ(web.record.owner->process.pid(), static_cast<uint32_t>(::getpid()));
  for (const std::string& name :
       {std::string("web"), web.record.id, web.record.short_id(), web.record.id.substr(0, 3)}) {
    const auto found = registry_->find(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->record, web.record);
  }
  for (const char* name : {"", "we", "webs", "x"})
    EXPECT_EQ(registry_->find(name).error().kind, ErrorKind::kNotFound) << name;
}

TEST_F(RegistryTest, TheYoungestComesFirst) {
  create("one");
  create("two");
  create("three");
  EXPECT_THAT(names(), ElementsAre("three", "two", "one"));
}

TEST_F(RegistryTest, ABeginningOfSeveralIdsIsRefused) {
  for (int i = 0; i < 17; ++i) create("");  // one of sixteen digits comes twice
  std::set<char> seen;
  char twice = 0;
  for (const Machine& machine : all())
    if (!seen.insert(machine.record.id.front()).second) twice = machine.record.id.front();
  const auto found = registry_->find(std::string(1, twice));
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message(), HasSubstr("is ambiguous"));
}

TEST_F(RegistryTest, ANameIsOneMachines) {
  create("web");
  const auto second = registry_->create(named("web"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kState);
  EXPECT_THAT(second.error().message(), HasSubstr("web: the name is in use by machine "));
  EXPECT_EQ(folders().size(), 2U);  // the folder and its record
}

TEST_F(RegistryTest, NamesThatAreNoneAreRefused) {
  for (const char* name : {"-ab", ".ab", "a/b", "a b", "../x", "a\n", "\xc3\xa4\xc3\xa4"})
    EXPECT_EQ(registry_->create(named(name)).error().kind, ErrorKind::kInvalidArgument) << name;
  EXPECT_FALSE(registry_->create(named(std::string(129, 'a'))));
  EXPECT_TRUE(registry_->create(named(std::string(128, 'a'))));
  EXPECT_TRUE(registry_->create(named("A-b_c.9")));
  EXPECT_TRUE(registry_->create(named("a")));
}

TEST_F(RegistryTest, ARunningMachineIsNotRemoved) {
  Machine web = create("web");
  for (const State state : {State::kCreated, State::kRunning, State::kPaused}) {
    set_state(web, state);
    const auto removed = registry_->remove(web);
    ASSERT_FALSE(removed);
    EXPECT_THAT(removed.error().message(), HasSubstr("web: is " + std::string(to_string(state))));
  }
  set_state(web, State::kExited);
  EXPECT_TRUE(registry_->remove(web));
  EXPECT_THAT(folders(), IsEmpty());
  EXPECT_TRUE(registry_->remove(web)) << "it is gone, as was wanted";
}

TEST_F(RegistryTest, AMachineWhoseProcessIsGoneHasExited) {
  for (const State state : {State::kRunning, State::kPaused}) {
    Machine web = create("web");
    orphan(web, state);
    const auto found = registry_->find("web");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->record.state, State::kExited);
    EXPECT_EQ(found->record.exit_code, 137);
    EXPECT_EQ(found->record.reason, "its process is gone");
    EXPECT_GT(found->record.finished_ns, 0U);
    EXPECT_EQ(*found->folder.read(), found->record) << "which is recorded once";
    EXPECT_TRUE(registry_->remove(*found));
  }
}

TEST_F(RegistryTest, WhatWasNotToStayGoesWithItsProcess) {
  Machine temporary = create("temporary", true), never = create("never");
  orphan(temporary, State::kRunning);
  orphan(never, State::kCreated);
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(folders(), IsEmpty());
  Machine half = create("half", true);  // killed between its last record and its removal
  orphan(half, State::kExited);
  EXPECT_TRUE(registry_->create(named("half"))) << "its name is free";
  EXPECT_THAT(names(), ElementsAre("half"));
}

TEST_F(RegistryTest, APidOfAnotherBootIsNobodys) {
  Machine web = create("web");
  web.record.owner->boot_id = "another";
  set_state(web, State::kRunning);
  EXPECT_EQ(registry_->find("web")->record.state, State::kExited);
}

TEST_F(RegistryTest, DamagedRecordsAreShownAndRemoved) {
  const std::string good = to_json(create("web").record).dump();
  const std::string record =
      machines_ + "/" + registry_->find("web")->record.short_id() + "/machine.json";
  std::vector<std::string> damaged{
      "", "{", "[]", "null", "\xff", good.substr(0, good.size() / 2), std::string(1 << 20, '[')};
  for (const char* change :
       {R"({"id":"x"})", R"({"name":"../.."})", R"({"state":"flying"})", R"({"state":7})",
        R"({"owner":{"pid":0,"start_time_ticks":1}})", R"({"owner":{"pid":99999999999}})",
        R"({"owner":null})", R"({"exit_code":-1})", R"({"exit_code":4711})", R"({"command":[1]})",
        R"({"created_ns":"x"})", R"({"image":["x"]})"}) {
    api::Json json = api::Json::parse(good);
    json.update(api::Json::parse(change));
    damaged.push_back(json.dump());
  }
  for (const std::string& text : damaged) {
    write_file(record, text);
    const auto machines = all();
    ASSERT_EQ(machines.size(), 1U) << text;
    EXPECT_EQ(machines.front().record.state, State::kDead) << text;
    EXPECT_THAT(machines.front().record.reason, HasSubstr(record)) << text;
  }
  EXPECT_FALSE(registry_->find("web"));
  const auto dead = registry_->find(all().front().record.id);
  ASSERT_TRUE(dead);
  EXPECT_TRUE(registry_->remove(*dead));
  EXPECT_THAT(folders(), IsEmpty());
}

TEST_F(RegistryTest, WhatIsNoMachineIsLeftAlone) {
  create("web");
  const std::string id = registry_->find("web")->record.short_id();
  write_file(machines_ + "/a file", "x");
  write_file(machines_ + "/0123456789ab", "x");
  write_file(machines_ + "/folder/x", "x");
  ::symlink(machines_.c_str(), (machines_ + "/fedcba987654").c_str());
  ::symlink("/nowhere", (machines_ + "/aaaaaaaaaaaa").c_str());
  EXPECT_THAT(names(), ElementsAre("web"));
  EXPECT_EQ(std::filesystem::exists(machines_ + "/folder/x"), true);
}

TEST_F(RegistryTest, ARecordThatIsNoFileHoldsNobodyUp) {
  for (const std::string folder : {"/000000000000", "/111111111111", "/222222222222"})
    ::mkdir((machines_ + folder).c_str(), 0700);
  ::mkfifo((machines_ + "/000000000000/machine.json").c_str(), 0600);
  ::symlink("/etc/passwd", (machines_ + "/111111111111/machine.json").c_str());
  std::vector<State> states;
  for (const Machine& machine : all()) {
    states.push_back(machine.record.state);
    EXPECT_TRUE(registry_->remove(machine));
  }
  EXPECT_THAT(states, ElementsAre(State::kDead, State::kDead, State::kDead));
  EXPECT_THAT(folders(), IsEmpty());
}

TEST_F(RegistryTest, AnothersRecordIsNobodys) {
  create("web");
  const std::string id = registry_->find("web")->record.short_id();
  std::filesystem::copy(machines_ + "/" + id, machines_ + "/000000000000",
                        std::filesystem::copy_options::recursive);
  ASSERT_EQ(all().size(), 2U);
  EXPECT_EQ(registry_->find("000000000000")->record.state, State::kDead);
  EXPECT_EQ(registry_->find("web")->record.short_id(), id);
}

TEST_F(RegistryTest, WhatKilledProcessesLeftIsSweptAway) {
  write_file(machines_ + "/.making-0123456789ab/machine.json", "{");
  write_file(machines_ + "/.removing-0123456789ab/output", "x");
  EXPECT_THAT(names(), IsEmpty());
  create("web");
  EXPECT_EQ(folders().size(), 2U);
}

// Processes
// --------------------------------------------------------------------------------------------------

pid_t in_process(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  work();
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

int status_of(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST_F(RegistryTest, OfManyWhoWantOneNameOneGetsIt) {
  constexpr int kProcesses = 8;
  int got = 0;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i)
    children.push_back(in_process([&] {
      const bool mine = registry_->create(named("web")).has_value();
      if (mine) ::sleep(60);  // keeps it; killed below
      ::_exit(mine ? 0 : 3);
    }));
  int refused = 0;
  while (refused < kProcesses - 1) {
    int status = 0;
    const pid_t child = ::wait(&status);
    ASSERT_GT(child, 0);
    std::erase(children, child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
      ++refused;
    else
      FAIL() << "another status: " << status;
  }
  EXPECT_THAT(names(), ElementsAre("web"));
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    status_of(child);
    ++got;
  }
  EXPECT_EQ(got, 1);
  EXPECT_THAT(names(), IsEmpty()) << "it was never started";
}

TEST_F(RegistryTest, ManyAtOnceComeAndGo) {
  constexpr int kProcesses = 6, kRounds = 30;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i)
    children.push_back(in_process([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        Machine mine = create("name-" + std::to_string(i));
        set_state(mine, State::kRunning);
        const auto seen = registry_->find(mine.record.id);
        EXPECT_TRUE(seen && seen->record == mine.record);
        for (const Machine& other : all())
          EXPECT_NE(other.record.state, State::kDead) << other.record.reason;
        set_state(mine, State::kExited);
        EXPECT_TRUE(registry_->remove(mine));
      }
    }));
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
  EXPECT_THAT(folders(), IsEmpty());
}

// Killed anywhere in create, write and remove: what is seen is whole, and can be removed.
TEST_F(RegistryTest, KilledAtAnyMomentNothingIsLeftThatStays) {
  constexpr int kRounds = 150;
  const auto live = [&](bool remove) {
    for (;;) {
      Machine mine = create("web", remove);
      set_state(mine, State::kRunning);
      set_state(mine, State::kPaused);
      set_state(mine, State::kExited);
      if (!registry_->remove(mine)) return;
    }
  };
  int interrupted = 0;
  for (int round = 0; round < kRounds; ++round) {
    const pid_t child = in_process([&] { live(round % 2 == 0); });
    ::usleep(static_cast<useconds_t>(300 + 37 * round));
    ::kill(child, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(status_of(child)));
    if (!folders().empty()) ++interrupted;
    for (const Machine& machine : all()) {
      EXPECT_EQ(machine.record.state, State::kExited) << machine.record.reason;
      EXPECT_EQ(machine.record.name, "web");
      EXPECT_TRUE(registry_->remove(machine));
    }
    EXPECT_THAT(names(), IsEmpty());
  }
  EXPECT_GT(interrupted, kRounds / 10) << "no round was killed in the middle";
  create("last");
  EXPECT_EQ(folders().size(), 2U);
}

TEST_F(RegistryTest, AProcessIsWaitedForAndSentSignals) {
  const pid_t child = in_process([] { ::pause(); });
  const auto identity = lifecycle::VmmProcess::of(static_cast<uint32_t>(child));
  ASSERT_TRUE(identity);
  Owner owner = *this_process();
  owner.process = *identity;
  const base::Fd process = open_process(owner);
  ASSERT_TRUE(process.valid());
  EXPECT_FALSE(wait_for_end(process, 1'000'000));
  EXPECT_TRUE(send_signal(process, SIGKILL));
  EXPECT_TRUE(wait_for_end(process));
  EXPECT_FALSE(open_process(owner).valid()) << "a zombie";
  EXPECT_EQ(status_of(child), SIGKILL);
  EXPECT_FALSE(send_signal(process, SIGKILL));
}

}  // namespace
}  // namespace husk::registry
