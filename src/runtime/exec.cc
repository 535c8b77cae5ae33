#include "runtime/exec.h"

#include "agent/host/client.h"
#include "base/try.h"
#include "net/vsock_connect.h"

namespace husk::runtime {
namespace {

agent::RunRequest request_of(const ExecOptions& options) {
  agent::RunRequest request;
  request.argv = options.argv;
  request.environment = options.environment;
  request.working_directory = options.working_directory;
  request.user = options.user;
  request.terminal = options.terminal;
  request.input = options.input;
  request.rows = options.rows;
  request.columns = options.columns;
  return request;
}

class ExecCommand final : public RunningCommand {
 public:
  ExecCommand(base::Fd connection, const ExecOptions& options, CommandOutput output)
      : connection_(std::move(connection)),
        client_(agent::SessionKind::kExec,
                [this](const base::Fd&) -> Result<base::Fd> { return std::move(connection_); },
                {.out = std::move(output.out), .err = std::move(output.err)}) {
    client_.run(request_of(options));
    client_.begin();
  }

  size_t send_input(std::span<const std::byte> data) override { return client_.send_input(data); }
  void close_input() override { client_.close_input(); }
  void send_signal(int number) override { client_.send_signal(number); }
  void resize(uint32_t rows, uint32_t columns) override { client_.send_window_size(rows, columns); }

  Result<ContainerExit> wait() override {
    const agent::RunResult result = client_.wait();
    if (result.finished && !result.failed) return ContainerExit{result.code, result.reason};
    return fail(ErrorKind::kBackend, "exec", result.reason);
  }

 private:
  base::Fd connection_;  // until the client has taken it
  agent::Client client_;
};

}  // namespace

Result<std::unique_ptr<RunningCommand>> exec_over(base::Fd connection, const ExecOptions& options,
                                                  CommandOutput output) {
  if (options.argv.empty()) return fail(ErrorKind::kInvalidArgument, "exec", "no command");
  return std::make_unique<ExecCommand>(std::move(connection), options, std::move(output));
}

Result<std::unique_ptr<RunningCommand>> exec(const std::string& vsock_path,
                                             const ExecOptions& options, CommandOutput output) {
  return exec_over(HUSK_TRY(net::connect_vsock(vsock_path, agent::kPort, {})), options,
                   std::move(output));
}

}  // namespace husk::runtime
