// The hand of a test inside a guest: does what dom0 writes to data/do in the
// store, and answers in data/done. One request is "NUMBER WORD REST"; the
// answer is "NUMBER TEXT". What it can do:
//
//   tpm HEX      one command through /dev/tpmN; the response in hex
//   sh COMMAND   a shell's output
//   load N HEX   N times that command, or until one fails; "started" at once,
//                and "acknowledged COUNT" on the console for each. Sixteen x in
//                HEX are COUNT, eight octets
//   loaded       how many commands of the load succeeded; and "running", "done"
//                or why it ended

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/xen/guest/raw_ring.hpp"

using namespace vtpm::xen_test;

namespace {

constexpr auto response_max = 4096;

/// What xenstore takes as a value, less the number.
constexpr auto answer_max = std::size_t{3000};

struct load_progress {
  std::atomic<std::uint64_t> succeeded;
  std::atomic<bool> is_running;
  /// A TPM's result code, or an errno if there was no response.
  std::atomic<std::uint32_t> ended_with;
};

/// Returns the file of this guest's TPM. Linux gives it the next number when
/// the guest has been restored, and keeps that.
std::string device_path() {
  auto path = std::string{"/dev/tpm0"};
  while (::access(path.c_str(), F_OK) != 0 && path.back() < '9')
    ++path.back();
  return path;
}

/// The TPM of this guest. Open only while a command runs, as only one may have
/// it open.
class device {
public:
  device() : descriptor_(::open(device_path().c_str(), O_RDWR | O_CLOEXEC)) {
    // nop
  }

  device(const device&) = delete;
  device& operator=(const device&) = delete;

  ~device() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }

  /// Returns the response; empty if there is none, and then errno says why.
  octets transact(const octets& command) {
    if (descriptor_ < 0)
      return {};
    const auto written = ::write(descriptor_, command.data(), command.size());
    if (written != static_cast<ssize_t>(command.size()))
      return {};
    auto response = octets(response_max);
    const auto got = ::read(descriptor_, response.data(), response.size());
    response.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return response;
  }

private:
  int descriptor_;
};

std::string run_tpm(const std::string& hex) {
  device tpm;
  const auto response = tpm.transact(from_hex(hex));
  return response.empty() ? std::string{"error "} + std::strerror(errno)
                          : to_hex(response);
}

std::string run_shell(const std::string& command) {
  const auto pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "re");
  if (pipe == nullptr)
    return std::string{"error "} + std::strerror(errno);
  std::string text;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr)
    text += buffer;
  text += "exit " + std::to_string(WEXITSTATUS(::pclose(pipe)));
  return text;
}

/// Returns the result code of a response, or why there is none.
std::uint32_t code_of(const octets& response) {
  if (response.size() < 10)
    return static_cast<std::uint32_t>(errno);
  auto code = std::uint32_t{0};
  for (std::size_t i = 6; i < 10; ++i)
    code = code << 8 | response[i];
  return code;
}

[[noreturn]] void run_load(std::uint64_t limit, const std::string& hex,
                           load_progress& progress) {
  device tpm;
  auto command = from_hex(hex);
  const auto counter = hex.find("xxxxxxxxxxxxxxxx");
  for (std::uint64_t count = 1; count <= limit; ++count) {
    for (std::size_t i = 0; i < 8 && counter != hex.npos; ++i)
      command[counter / 2 + 7 - i]
        = static_cast<std::uint8_t>(count >> (8 * i));
    progress.ended_with = code_of(tpm.transact(command));
    if (progress.ended_with != 0)
      break;
    progress.succeeded = count;
    std::printf("acknowledged %llu\n", static_cast<unsigned long long>(count));
    std::fflush(stdout);
  }
  progress.is_running = false;
  std::_Exit(0);
}

std::string start_load(const std::string& text, load_progress& progress) {
  auto end = std::size_t{0};
  const auto limit = std::stoull(text, &end);
  progress.succeeded = 0;
  progress.ended_with = 0;
  progress.is_running = true;
  const auto child = ::fork();
  if (child == 0)
    run_load(limit, text.substr(end + 1), progress);
  return child > 0 ? "started" : std::string{"error "} + std::strerror(errno);
}

std::string describe(const load_progress& progress) {
  auto text = std::to_string(progress.succeeded) + ' ';
  if (progress.is_running)
    return text + "running";
  if (progress.ended_with == 0)
    return text + "done";
  return text + std::to_string(progress.ended_with);
}

std::string run(const std::string& request, load_progress& progress) {
  const auto space = request.find(' ');
  const auto word = request.substr(0, space);
  const auto rest = space == request.npos ? "" : request.substr(space + 1);
  if (word == "tpm")
    return run_tpm(rest);
  if (word == "sh")
    return run_shell(rest);
  if (word == "load")
    return start_load(rest, progress);
  if (word == "loaded")
    return describe(progress);
  return "error no such request: " + word;
}

std::string read_store(xs_handle* store, const char* path) {
  auto size = 0U;
  const auto text = std::unique_ptr<void, decltype(&std::free)>{
    ::xs_read(store, XBT_NULL, path, &size), &std::free};
  return text ? std::string{static_cast<const char*>(text.get()), size} : "";
}

bool write_store(xs_handle* store, const char* path, const std::string& text) {
  return ::xs_write(store, XBT_NULL, path, text.data(),
                    static_cast<unsigned>(text.size()));
}

} // namespace

int main() {
  // Shared with the process that makes the load.
  auto* memory = ::mmap(nullptr, sizeof(load_progress), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return 1;
  auto& progress = *new (memory) load_progress{};
  const auto store = ::xs_open(0);
  if (store == nullptr || !::xs_watch(store, "data/do", "do")) {
    std::perror("cannot watch the store");
    return 1;
  }
  write_store(store, "data/ready", "1");
  std::string last_number;
  for (;;) {
    auto count = 0U;
    std::free(::xs_read_watch(store, &count));
    const auto request = read_store(store, "data/do");
    const auto number = request.substr(0, request.find(' '));
    if (number.empty() || number == last_number)
      continue;
    last_number = number;
    auto answer = run(request.substr(number.size() + 1), progress);
    if (answer.size() > answer_max)
      answer.erase(0, answer.size() - answer_max);
    if (!write_store(store, "data/done", number + ' ' + answer))
      std::perror("cannot answer");
  }
}
