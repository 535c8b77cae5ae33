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
  ::signal(SIGPIPE, SIG_DFL);  // all that the agent ignores; it catches none
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
  Descriptor read, write;
};

bool make_pipe(Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe.read = Descriptor(ends[0]);
  pipe.write = Descriptor(ends[1]);
  return true;
}

StartFailure system_failure(const char* what) {
  return StartFailure{125, std::string(what) + ": " + std::strerror(errno)};
}

// The command's ends.
struct Streams {
  Descriptor input, output, error;  // of a terminal: input is all three
};

bool open_terminal(const RunRequest& request, const Identity& identity, Command& command,
                   Streams& streams) {
  Descriptor master(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unlock = 0;
  int number = 0;
  if (!master.valid() || ::ioctl(master.get(), TIOCSPTLCK, &unlock) != 0 ||
      ::ioctl(master.get(), TIOCGPTN, &number) != 0)
    return false;
  streams.input = Descriptor(
      ::open(("/dev/pts/" + std::to_string(number)).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!streams.input.valid()) return false;
  winsize size{};
  size.ws_row = static_cast<unsigned short>(request.rows);
  size.ws_col = static_cast<unsigned short>(request.columns);
  if (size.ws_row != 0) ::ioctl(master.get(), TIOCSWINSZ, &size);
  if (identity.uid != 0) [[maybe_unused]]
    const int owned = ::fchown(streams.input.get(), identity.uid, static_cast<gid_t>(-1));
  command.input = Descriptor(::fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  command.output = std::move(master);
  return command.input.valid();
}

bool open_pipes(const RunRequest& request, const Identity& identity, Command& command,
                Streams& streams) {
  Pipe input, output, error;
  if (!make_pipe(output) || !make_pipe(error)) return false;
  if (!request.input) {
    input.read = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  } else if (!make_pipe(input)) {
    return false;
  }
  // The command's user can open /dev/stdout and /dev/stderr.
  for (const int fd : {input.read.get(), output.write.get(), error.write.get()}) [[maybe_unused]]
    const int owned = ::fchown(fd, identity.uid, identity.gid);
  streams = {std::move(input.read), std::move(output.write), std::move(error.write)};
  command.input = std::move(input.write);
  command.output = std::move(output.read);
  command.error = std::move(error.read);
  return true;
}

}  // namespace

StartFailure start(const RunRequest& request, Command& command) {
  Identity identity;
  std::string unknown;
  if (!resolve_user(request.user, identity, unknown)) return {125, unknown};
  command.terminal = request.terminal;
  Streams streams;
  Pipe report;
  if (!make_pipe(report)) return system_failure("cannot make a pipe");
  if (request.terminal) {
    if (!open_terminal(request, identity, command, streams))
      return system_failure("cannot make a terminal");
  } else if (!open_pipes(request, identity, command, streams)) {
    return system_failure("cannot make a pipe");
  }
  command.pid = ::fork();
  if (command.pid < 0) return system_failure("cannot fork");
  if (command.pid == 0) {
    const int input = streams.input.get();
    const int output = request.terminal ? input : streams.output.get();
    const int error = request.terminal ? input : streams.error.get();
    run_child(request, identity, input, output, error, report.write.get());
  }
  streams = {};
  report.write.reset();
  char text[512];
  const ssize_t n = ::read(report.read.get(), text, sizeof(text));
  for (const Descriptor* end : {&command.input, &command.output, &command.error}) {
    if (end->valid()) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
  }
  if (n > 0)
    return {static_cast<unsigned char>(text[0]), std::string(text + 1, static_cast<size_t>(n - 1))};
  return {};
}

}  // namespace husk::agent
