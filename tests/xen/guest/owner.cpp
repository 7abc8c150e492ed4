// Takes ownership of the guest's TPM 1.2, with the well-known secret.

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "deploy/bench/tpm12_commands.hpp"

using namespace vtpm;

namespace {

constexpr auto response_max = std::size_t{4096};

/// One command through the kernel's device.
deploy::result<byte_vector> transact(int descriptor, byte_view command) {
  auto response = byte_vector(response_max);
  const auto written = ::write(descriptor, command.data(), command.size());
  if (written != static_cast<ssize_t>(command.size()))
    return deploy::problem{"the TPM does not take the command"};
  const auto got = ::read(descriptor, response.data(), response.size());
  if (got <= 0)
    return deploy::problem{"the TPM does not answer"};
  response.resize(static_cast<std::size_t>(got));
  return response;
}

} // namespace

int main() {
  const auto descriptor = ::open("/dev/tpm0", O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    std::perror("/dev/tpm0");
    return 1;
  }
  const auto taken = deploy::tpm12::take_ownership(
    [descriptor](byte_view command) { return transact(descriptor, command); });
  if (!taken) {
    std::fprintf(stderr, "%s\n", taken.error().text.c_str());
    return 1;
  }
  std::puts("owned");
  return 0;
}
