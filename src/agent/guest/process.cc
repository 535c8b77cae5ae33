#include "agent/guest/process.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "agent/guest/users.h"

namespace husk::agent {
namespace {

constexpr const char* kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool has_variable(const std::vector<std::string>& environment, const std::string& prefix) {
  for (const std::string& entry : environment) {
    if (entry.compare(0, prefix.size(), prefix) == 0) return true;
  }
  return false;
}

std::vector<std::string> complete_environment(const RunRequest& request, const Identity& identity) {
  std::vector<std::string> environment = request.environment;
  if (!has_variable(environment, "PATH=")) environment.push_back(kDefaultPath);
  if (!has_variable(environment, "HOSTNAME="))
    environment.push_back("HOSTNAME=" + request.hostname);
  if (request.terminal && !has_variable(environment, "TERM=")) environment.push_back("TERM=xterm");
  if (!has_variable(environment, "HOME=")) environment.push_back("HOME=" + identity.home);
  return environment;
}

std::string variable(const std::vector<std::string>& environment, const std::string& prefix) {
  for (const std::string& entry : environment) {
    if (entry.compare(0, prefix.size(), prefix) == 0) return entry.substr(prefix.size());
  }
  return {};
}

void make_directories(const std::string& path) {
  for (size_t at = 1; at != std::string::npos && at <= path.size();) {
    at = path.find('/', at);
    ::mkdir(path.substr(0, at).c_str(), 0755);
    if (at != std::string::npos) ++at;
  }
}

// Tells the parent, through a pipe that a successful exec closes, why there was none.
[[noreturn]] void give_up(int report, int code, const std::string& reason) {
  const std::string text = std::string(1, static_cast<char>(code)) + reason;
  [[maybe_unused]] const ssize_t n = ::write(report, text.data(), text.size());
  ::_exit(code);
}

void try_exec(const std::string& path, char** argv, char** environment) {
  struct stat st{};
  if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
    errno = EISDIR;
    return;
  }
  ::execve(path.c_str(), argv, environment);
}

// Looks the command up in the container's PATH and becomes it.
[[noreturn]] void become(const RunRequest& request, const std::vector<std::string>& environment,
                         int report) {
  std::vector<char*> argv;
  std::vector<char*> variables;
  for (const std::string& argument : request.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  for (const std::string& entry : environment)
    variables.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  variables.push_back(nullptr);
  const std::string& name = request.argv[0];
  int error = ENOENT;
  if (name.find('/') != std::string::npos) {
    try_exec(name, argv.data(), variables.data());
    error = errno;
  } else {
    const std::string path = variable(environment, "PATH=");
    for (size_t at = 0; at <= path.size();) {
      const size_t end = std::min(path.find(':', at), path.size());
      const std::string directory = path.substr(at, end - at);
      try_exec((directory.empty() ? "." : directory) + "/" + name, argv.data(), variables.data());
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
      at = end + 1;
    }
  }
  if (error == ENOENT || error == ENOTDIR) {
    const bool named = name.find('/') == std::string::npos;
    give_up(report, 127,
            "exec: \"" + name +
                "\": " + (named ? "executable file not found in $PATH" : std::strerror(error)));
  }
  give_up(report, 126, "exec: \"" + name + "\": " + std::strerror(error));
}

[[noreturn]] void run_child(const RunRequest& request, const Identity& identity, int input,
                            int output, int error, int report) {
  ::setsid();
  if (request.terminal) ::ioctl(input, TIOCSCTTY, 0);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::dup2(error, 2);
  for (int signal = 1; signal < 65; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::string directory = request.working_directory.empty() ? "/" : request.working_directory;
  make_directories(directory);
  if (::setgroups(identity.groups.size(), identity.groups.data()) != 0 ||
      ::setgid(identity.gid) != 0 || ::setuid(identity.uid) != 0)
    give_up(report, 125, std::string("cannot become the user: ") + std::strerror(errno));
  if (::chdir(directory.c_str()) != 0)
    give_up(report, 125, "chdir to \"" + directory + "\": " + std::strerror(errno));
  become(request, complete_environment(request, identity), report);
}

struct Pipe {
  int read = -1, write = -1;
};

bool make_pipe(Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe = {ends[0], ends[1]};
  return true;
}

bool open_terminal(const RunRequest& request, int& master, int& slave) {
  master = ::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return false;
  int unlock = 0;
  int number = 0;
  if (::ioctl(master, TIOCSPTLCK, &unlock) != 0 || ::ioctl(master, TIOCGPTN, &number) != 0)
    return false;
  slave = ::open(("/dev/pts/" + std::to_string(number)).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  winsize size{};
  size.ws_row = static_cast<unsigned short>(request.rows);
  size.ws_col = static_cast<unsigned short>(request.columns);
  if (size.ws_row != 0) ::ioctl(master, TIOCSWINSZ, &size);
  return slave >= 0;
}

void close_all(std::initializer_list<int> descriptors) {
  for (const int fd : descriptors) {
    if (fd >= 0) ::close(fd);
  }
}

}  // namespace

StartFailure start(const RunRequest& request, Command& command) {
  Identity identity;
  std::string unknown;
  if (!resolve_user(request.user, identity, unknown)) return {125, unknown};
  Pipe report, input, output, error;
  int child_input = -1, child_output = -1, child_error = -1;
  const auto system_failure = [](const char* what) {
    return StartFailure{125, std::string(what) + ": " + std::strerror(errno)};
  };
  if (!make_pipe(report)) return system_failure("cannot make a pipe");
  command.terminal = request.terminal;
  if (request.terminal) {
    if (!open_terminal(request, command.output, child_input))
      return system_failure("cannot make a terminal");
    child_output = child_error = child_input;
    command.input = ::fcntl(command.output, F_DUPFD_CLOEXEC, 3);
    if (identity.uid != 0) [[maybe_unused]]
      const int owned = ::fchown(child_input, identity.uid, static_cast<gid_t>(-1));
  } else {
    if (!make_pipe(output) || !make_pipe(error)) return system_failure("cannot make a pipe");
    if (request.input) {
      if (!make_pipe(input)) return system_failure("cannot make a pipe");
    } else {
      input.read = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    child_input = input.read;
    child_output = output.write;
    child_error = error.write;
    command.input = input.write;
    command.output = output.read;
    command.error = error.read;
    // The command's user can open /dev/stdout and /dev/stderr.
    for (const int fd : {child_input, child_output, child_error}) [[maybe_unused]]
      const int owned = ::fchown(fd, identity.uid, identity.gid);
  }
  command.pid = ::fork();
  if (command.pid < 0) return system_failure("cannot fork");
  if (command.pid == 0)
    run_child(request, identity, child_input, child_output, child_error, report.write);
  close_all({report.write, child_input});
  if (!request.terminal) close_all({child_output, child_error});
  char text[512];
  const ssize_t n = ::read(report.read, text, sizeof(text));
  ::close(report.read);
  for (const int fd : {command.input, command.output, command.error}) {
    if (fd >= 0) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  if (n > 0)
    return {static_cast<unsigned char>(text[0]), std::string(text + 1, static_cast<size_t>(n - 1))};
  return {};
}

}  // namespace husk::agent
