#include "cli/detach.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "cli/attend.h"
#include "cli/report.h"

namespace husk::cli {
namespace {

const std::string kSucceeded = "+";  // before the text, which may be empty

void replace(int fd, const std::string& path, int flags) {
  const base::Fd file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (file.valid()) ::dup2(file.get(), fd);
}

// What the shell may have left open is not the machine's.
void close_all_but(std::vector<int> kept) {
  std::ranges::sort(kept);
  unsigned from = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto here = static_cast<unsigned>(fd);
    if (here > from) ::close_range(from, here - 1, 0);
    from = here + 1;
  }
  ::close_range(from, ~0U, 0);
}

std::string read_to_end(const base::Fd& pipe) {
  std::string text;
  std::array<char, 256> chunk;
  for (;;) {
    const ssize_t n = ::read(pipe.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(chunk.data(), static_cast<size_t>(n));
  }
}

// It has said on standard error what was wrong, unless it had no time to.
int exit_code_of(pid_t child) {
  int status = SIGKILL;  // who ignores SIGCHLD is not told
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return report(fmt::format("its process was ended by signal {}", WTERMSIG(status)));
}

}  // namespace

// prctl(2): the setting is the calling thread's.
void Launch::outlive() const { ::prctl(PR_SET_PDEATHSIG, 0); }

bool Launch::succeeded(const std::string& text, const std::string& messages) {
  const std::string message = kSucceeded + text;
  if (::write(pipe_.get(), message.data(), message.size()) != static_cast<ssize_t>(message.size()))
    return false;
  replace(STDOUT_FILENO, "/dev/null", O_WRONLY);
  replace(STDERR_FILENO, "/dev/null", O_WRONLY);
  replace(STDERR_FILENO, messages, O_WRONLY | O_CREAT | O_APPEND);
  [[maybe_unused]] const int moved = ::chdir("/");  // holds no file system in use
  pipe_.reset();
  return true;
}

std::variant<Detached, int> Detached::start(const std::function<int(Launch&)>& work,
                                            std::vector<int> keep) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return report(fail_errno("-d", "cannot make a pipe").error());
  base::Fd ours(ends[0]), theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return report(fail_errno("-d", "cannot make a process").error());
  if (child == 0) {
    keep.push_back(theirs.get());
    close_all_but(std::move(keep));
    (void)ours.release();
    ::setsid();
    ::signal(SIGPIPE, SIG_IGN);
    replace(STDIN_FILENO, "/dev/null", O_RDONLY);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) return 1;
    Launch launch(std::move(theirs));
    return work(launch);
  }
  return Detached(child, std::move(ours));
}

int Detached::attend() {
  const std::string message = read_to_end(pipe_);
  if (!message.starts_with(kSucceeded)) return exit_code_of(child_);
  write_all(STDOUT_FILENO, message.substr(kSucceeded.size()));
  return 0;
}

int detached(const std::function<int(Launch&)>& work) {
  auto started = Detached::start(work);
  if (const int* code = std::get_if<int>(&started)) return *code;
  return std::get<Detached>(started).attend();
}

}  // namespace husk::cli
