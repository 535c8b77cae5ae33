#include "agent/guest/setup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "agent/guest/descriptor.h"
#include "agent/protocol/message.h"

namespace husk::agent {
namespace {

constexpr int kWaitStepUs = 200;
constexpr int kWaitSteps = 50'000;  // ten seconds in all

std::string read_small(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text(4096, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string failure(const std::string& what) { return what + ": " + std::strerror(errno); }

// The entry of a sysfs directory whose attribute has a value, e.g. the block device with a serial
// number.
std::string find_by_attribute(const char* directory, const char* attribute,
                              std::string_view value) {
  DIR* dir = ::opendir(directory);
  if (dir == nullptr) return {};
  std::string found;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    if (read_small(std::string(directory) + "/" + entry->d_name + "/" + attribute) != value)
      continue;
    found = entry->d_name;
    break;
  }
  ::closedir(dir);
  return found;
}

std::string wait_for(const char* directory, const char* attribute, std::string_view value) {
  for (int step = 0; step < kWaitSteps; ++step) {
    std::string name = find_by_attribute(directory, attribute, value);
    if (!name.empty()) return name;
    ::usleep(kWaitStepUs);
  }
  return {};
}

bool is_written(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size != 0);
}

void write_if_empty(const char* path, const std::string& text) {
  if (is_written(path)) return;
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, text.data(), text.size());
  ::close(fd);
}

void write_machine_id(const std::string& id) {
  if (id.empty()) return;
  constexpr int kHow =  // an image's pipe of that name is not waited for
      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const int fd = ::open("/etc/machine-id", kHow, 0444);
  if (fd < 0) return console_line("husk-agent: " + failure("/etc/machine-id"));
  [[maybe_unused]] const ssize_t n = ::write(fd, (id + "\n").data(), id.size() + 1);
  ::close(fd);
}

void bring_loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (::ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    ::ioctl(fd, SIOCSIFFLAGS, &request);
  }
  ::close(fd);
}

void set(const char* path, std::string_view value) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, value.data(), value.size());
  ::close(fd);
}

// Nobody waits for huge pages in a machine of this size; the kernel's thread for them would wake an
// idle one twice a second. Each second it would add up counters, which are exact to a few pages
// without that (kernel's admin-guide/sysctl/vm.rst, stat_interval).
void let_memory_lie() {
  set("/proc/sys/vm/compaction_proactiveness", "0");
  set("/proc/sys/vm/stat_interval", "60");
}

// A snapshot's disk has its size once the driver has heard of it.
bool wait_for_sectors(const std::string& disk) {
  for (int step = 0; step < kWaitSteps; ++step) {
    if (read_small("/sys/block/" + disk + "/size") != "0") return true;
    ::usleep(kWaitStepUs);
  }
  return false;
}

void add_entropy(const std::string& bytes) {
  const int fd = ::open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  constexpr size_t kMost = 64;
  alignas(rand_pool_info) std::array<char, sizeof(rand_pool_info) + kMost> pool{};
  const size_t size = std::min(bytes.size(), kMost);
  const rand_pool_info info{.entropy_count = static_cast<int>(8 * size),
                            .buf_size = static_cast<int>(size)};
  std::memcpy(pool.data(), &info, sizeof(info));
  std::memcpy(pool.data() + sizeof(info), bytes.data(), size);
  ::ioctl(fd, RNDADDENTROPY, pool.data());
  ::ioctl(fd, RNDRESEEDCRNG);
  ::close(fd);
}

// The root image's disk, once it is there. In a machine that is to be a base snapshot it has no
// sectors yet.
std::string root_disk;

// The directory and the files of write_names(), made before the image is seen: to make them in its
// overlay takes the kernel a hundred thousand instructions.
constexpr const char* kNames = "/etc";
constexpr const char* kNameFiles[] = {"/etc/hostname", "/etc/hosts"};
const std::string kLower = "/lower", kUpper = "/upper/data";

void stage_names() {
  ::mkdir((kUpper + kNames).c_str(), 0755);
  for (const char* name : kNameFiles)
    Descriptor(::open((kUpper + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

// What the image has itself stays as it is there, and so does the directory.
void give_way_to_image() {
  struct stat st{};
  const bool has_directory = ::lstat((kLower + kNames).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  for (const char* name : kNameFiles) {
    if (!has_directory || is_written(kLower + name)) ::unlink((kUpper + name).c_str());
  }
  const std::string directory = kUpper + kNames;
  if (::rmdir(directory.c_str()) == 0) return;
  const timespec times[2] = {st.st_atim, st.st_mtim};
  [[maybe_unused]] const int owned = ::chown(directory.c_str(), st.st_uid, st.st_gid);
  ::chmod(directory.c_str(), st.st_mode & 07777);
  ::utimensat(AT_FDCWD, directory.c_str(), times, 0);
}

// Where what is the same for every container waits for its root.
constexpr const char* kStages[][2] = {
    {"/stage/proc", "/proc"}, {"/stage/sys", "/sys"}, {"/stage/dev", "/dev"}};

// The file systems that a container expects.
void stage_file_systems() {
  ::mkdir("/stage", 0755);
  for (const auto& [stage, place] : kStages) ::mkdir(stage, 0755);
  ::mount("proc", "/stage/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  ::mount("sysfs", "/stage/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  ::mount("cgroup2", "/stage/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  ::mount("devtmpfs", "/stage/dev", "devtmpfs", MS_NOSUID, "mode=0755");
  for (const char* path : {"/stage/dev/pts", "/stage/dev/shm", "/stage/dev/mqueue"})
    ::mkdir(path, 0755);
  ::mount("devpts", "/stage/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
          "newinstance,ptmxmode=0666,mode=0620,gid=5");
  ::mount("shm", "/stage/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777");
  ::mount("mqueue", "/stage/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  ::unlink("/stage/dev/ptmx");
  constexpr const char* kLinks[][2] = {{"pts/ptmx", "/stage/dev/ptmx"},
                                       {"/proc/self/fd", "/stage/dev/fd"},
                                       {"/proc/self/fd/0", "/stage/dev/stdin"},
                                       {"/proc/self/fd/1", "/stage/dev/stdout"},
                                       {"/proc/self/fd/2", "/stage/dev/stderr"}};
  for (const auto& link : kLinks) [[maybe_unused]]
    const int result = ::symlink(link[0], link[1]);
}

// Most images have the directory.
bool move_to(const Descriptor& mounted, const char* place) {
  constexpr unsigned kHow = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;
  const auto move = [&] { return ::move_mount(mounted.get(), "", AT_FDCWD, place, kHow) == 0; };
  return move() || (errno == ENOENT && ::mkdir(place, 0755) == 0 && move());
}

}  // namespace

void take_over_moment(const Moment& moment) {
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  if (moment.realtime_ns != 0) {
    const timespec now{static_cast<time_t>(moment.realtime_ns / kNsPerSecond),
                       static_cast<long>(moment.realtime_ns % kNsPerSecond)};
    ::clock_settime(CLOCK_REALTIME, &now);
  }
  if (!moment.entropy.empty()) add_entropy(moment.entropy);
  if (!moment.hostname.empty()) ::sethostname(moment.hostname.data(), moment.hostname.size());
  write_machine_id(moment.machine_id);
}

void mount_early() {
  ::mkdir("/proc", 0755);
  ::mkdir("/sys", 0755);
  ::mkdir("/dev", 0755);
  ::mount("proc", "/proc", "proc", 0, nullptr);
  ::mount("sysfs", "/sys", "sysfs", 0, nullptr);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
}

void console_line(const std::string& text) {
  const std::string line = text + "\n";
  // The serial port of either architecture. A name may be there with nothing behind it.
  for (const char* path : {"/dev/ttyAMA0", "/dev/ttyS0", "/dev/console"}) {
    const int fd = ::open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t written = ::write(fd, line.data(), line.size());
    ::close(fd);
    if (written >= 0) return;
  }
}

void load_modules() {
  const std::string list = read_small("/etc/husk/modules");
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find('\n', at), list.size());
    const std::string path = list.substr(at, end - at);
    at = end + 1;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (::syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
      console_line("husk-agent: " + failure(path));
    if (fd >= 0) ::close(fd);
  }
}

void prepare_container() {
  let_memory_lie();
  root_disk = wait_for("/sys/block", "serial", kRootDiskSerial);
  for (const char* path : {"/lower", "/upper", "/root"}) ::mkdir(path, 0755);
  ::mount("upper", "/upper", "tmpfs", 0, "mode=0755,size=75%");
  ::mkdir("/upper/data", 0755);
  ::mkdir("/upper/work", 0755);
  stage_names();
  stage_file_systems();
  bring_loopback_up();
}

std::string enter_root() {
  if (root_disk.empty() || !wait_for_sectors(root_disk)) return "no root disk appeared";
  if (::mount(("/dev/" + root_disk).c_str(), "/lower", "erofs", MS_RDONLY, nullptr) != 0)
    return failure("cannot mount the root image");
  give_way_to_image();
  if (::mount("root", "/root", "overlay", 0,
              "lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work") != 0)
    return failure("cannot mount the overlay");
  std::vector<Descriptor> stages;
  for (const auto& [stage, place] : kStages) stages.emplace_back(::open(stage, O_PATH | O_CLOEXEC));
  if (::chdir("/root") != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0)
    return failure("cannot change to the new root");
  // From here on the image's own links, if there are any, lead to where they do in a container.
  for (size_t i = 0; i < stages.size(); ++i) {
    if (!move_to(stages[i], kStages[i][1])) return failure(kStages[i][1]);
  }
  return {};
}

void write_names(const std::string& hostname, const std::string& machine_id) {
  write_if_empty("/etc/hostname", hostname + "\n");
  write_if_empty("/etc/hosts",
                 "127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t" + hostname + "\n");
  write_machine_id(machine_id);
}

}  // namespace husk::agent
