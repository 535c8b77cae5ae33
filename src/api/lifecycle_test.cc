#include "husk/lifecycle.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace husk::lifecycle {
namespace {

VmConfig good() {
  VmConfig config;
  config.name = "my-vm.01";
  config.kernel = "/boot/vmlinuz";
  config.cpus = 1;
  config.memory_mb = 256;
  return config;
}

std::string refusal(const VmConfig& config) {
  const auto result = config.validate();
  if (result) return "";
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalidArgument);
  return result.error().why;
}

TEST(VmConfig, AcceptsAGoodOne) {
  EXPECT_EQ(refusal(good()), "");
  VmConfig longest = good();
  longest.name = std::string(128, 'a');
  EXPECT_EQ(refusal(longest), "");
}

TEST(VmConfig, NamesAreChecked) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "VM name must not be empty"},
      {std::string(129, 'a'), "VM name must be 128 characters or fewer"},
      {std::string(129, '/'), "VM name must be 128 characters or fewer"},
      {"../etc",
       "VM name must contain only alphanumeric characters, hyphens, underscores, and dots"},
      {"caf\xc3\xa9",
       "VM name must contain only alphanumeric characters, hyphens, underscores, and dots"},
      {std::string("a\0b", 3),
       "VM name must contain only alphanumeric characters, hyphens, underscores, and dots"},
      {".hidden", "VM name must not start with '.' or '-'"},
      {"-rf", "VM name must not start with '.' or '-'"},
  };
  for (const auto& [name, why] : cases) {
    VmConfig config = good();
    config.name = name;
    EXPECT_EQ(refusal(config), why) << name;
    EXPECT_EQ(config.validate().error().subject, "name");
  }
}

TEST(VmConfig, TheFirstFailureIsTold) {
  VmConfig config;
  EXPECT_EQ(refusal(config), "VM name must not be empty");
  config.name = "a";
  EXPECT_EQ(refusal(config), "cpus must be at least 1");
  config.cpus = 1;
  EXPECT_EQ(refusal(config), "memory_mb must be at least 1");
  config.memory_mb = 1;
  EXPECT_EQ(refusal(config), "kernel path must not be empty");
}

TEST(VmState, PrintedFormsAreTheContracts) {
  EXPECT_EQ(VmState::starting().to_string(), "starting");
  EXPECT_EQ(VmState::running().to_string(), "running");
  EXPECT_EQ(VmState::ready("10.0.1.2").to_string(), "ready (10.0.1.2)");
  EXPECT_EQ(VmState::paused().to_string(), "paused");
  EXPECT_EQ(VmState::stopped().to_string(), "stopped");
  EXPECT_EQ(VmState::failed("timeout").to_string(), "failed: timeout");
}

TEST(VmState, HelpersAndEquality) {
  EXPECT_TRUE(VmState::running().is_running());
  EXPECT_FALSE(VmState::running().is_ready());
  EXPECT_TRUE(VmState::ready("10.0.1.2").is_running());
  EXPECT_TRUE(VmState::ready("10.0.1.2").is_ready());
  EXPECT_FALSE(VmState::paused().is_running());
  EXPECT_EQ(VmState::ready("10.0.1.2").ip(), "10.0.1.2");
  EXPECT_EQ(VmState::starting().ip(), std::nullopt);
  EXPECT_EQ(VmState::failed("x").ip(), std::nullopt);
  EXPECT_EQ(VmState::failed("x").reason(), "x");
  EXPECT_EQ(VmState::ready("10.0.1.2").reason(), std::nullopt);
  EXPECT_EQ(VmState::stopped(), VmState::stopped());
  EXPECT_NE(VmState::starting(), VmState::stopped());
  EXPECT_NE(VmState::ready("10.0.1.2"), VmState::ready("10.0.1.3"));
}

TEST(ReadyMarker, LineAndItsParser) {
  EXPECT_EQ(kReadyMarker, "VMRS_READY");
  EXPECT_EQ(ready_line("10.0.1.2"), "VMRS_READY 10.0.1.2");
  EXPECT_EQ(parse_ready_line(ready_line("10.0.1.2")), "10.0.1.2");
  EXPECT_EQ(parse_ready_line("  VMRS_READY fd00::2\r\n"), "fd00::2");
  for (const char* line :
       {"", "VMRS_READY", "VMRS_READY ", "VMRS_READY10.0.1.2", "VMRS_READYX 10.0.1.2",
        "xVMRS_READY 10.0.1.2", "VMRS_READY 10.0.1", "VMRS_READY 10.0.1.2 or so"}) {
    EXPECT_EQ(parse_ready_line(line), std::nullopt) << line;
  }
}

TEST(VmSocketEndpoint, CopiesShareOneDescriptorAndClonesAreTheCallers) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
  int clone = -1;
  {
    const VmSocketEndpoint endpoint(pair[0]);
    const VmSocketEndpoint copy = endpoint;  // NOLINT: the copy is what is tested
    EXPECT_EQ(copy.raw_fd(), pair[0]);
    const auto result = copy.try_clone_owned();
    ASSERT_TRUE(result);
    clone = *result;
    EXPECT_NE(clone, pair[0]);
    EXPECT_EQ(::fcntl(clone, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(::fcntl(pair[0], F_GETFD), -1) << "the last copy closes";
  ASSERT_EQ(::write(pair[1], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(clone, &byte, 1), 1);
  ::close(clone);
  ::close(pair[1]);
}

TEST(VmmProcess, ThisProcessIsItself) {
  const auto self = VmmProcess::of(static_cast<uint32_t>(::getpid()));
  ASSERT_TRUE(self);
  EXPECT_TRUE(self->start_time_ticks());
  EXPECT_TRUE(self->is_alive());
  EXPECT_EQ(*self, VmmProcess(self->pid(), self->start_time_ticks()));
  const VmmProcess reused(self->pid(), *self->start_time_ticks() + 1);
  EXPECT_NE(reused, *self);
  EXPECT_FALSE(reused.is_alive()) << "another process has the pid now";
  EXPECT_TRUE(VmmProcess(self->pid(), std::nullopt).is_alive());
}

TEST(VmmProcess, AZombieIsNotAlive) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  const auto process = VmmProcess::of(static_cast<uint32_t>(child));
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->is_alive());
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(process->is_alive());
  EXPECT_EQ(VmmProcess::of(static_cast<uint32_t>(child)).error().kind, ErrorKind::kNotFound);
}

TEST(VmmProcess, TheNameMayHoldSpacesAndParentheses) {
  const std::string proc = ::testing::TempDir() + "husk-proc";
  std::filesystem::create_directories(proc + "/7");
  const auto write = [&](const std::string& text) { std::ofstream(proc + "/7/stat") << text; };
  write("7 (a) R 1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n");
  const auto process = VmmProcess::of(7, proc);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->start_time_ticks(), 4711u);
  EXPECT_TRUE(process->is_alive(proc));
  for (const char* text :
       {"", "7", "7 (a", "7 (a) S 1 2", "7 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"}) {
    write(text);
    EXPECT_FALSE(VmmProcess::of(7, proc)) << text;
    EXPECT_FALSE(process->is_alive(proc)) << text;
  }
  std::filesystem::remove_all(proc);
}

}  // namespace
}  // namespace husk::lifecycle
