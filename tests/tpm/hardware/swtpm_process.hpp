#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "tests/tpm/scratch_directory.hpp"

namespace vtpm::tests {

/// A TPM 2.0 to be had on any machine: swtpm, whose plug a test can pull. Its
/// state outlives it.
class swtpm_process {
public:
  swtpm_process() {
    turn_on();
  }

  swtpm_process(const swtpm_process&) = delete;
  swtpm_process& operator=(const swtpm_process&) = delete;

  ~swtpm_process() {
    cut_power();
  }

  std::string tcti() const {
    return "swtpm:host=127.0.0.1,port=" + std::to_string(port_);
  }

  /// Ends it without a TPM2_Shutdown.
  void cut_power() {
    if (process_ <= 0)
      return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

  /// Ends it after a TPM2_Shutdown(CLEAR), as an operating system does.
  void turn_off() {
    TSS2_TCTI_CONTEXT* tcti_context = nullptr;
    REQUIRE(Tss2_TctiLdr_Initialize(tcti().c_str(), &tcti_context)
            == TSS2_RC_SUCCESS);
    ESYS_CONTEXT* context = nullptr;
    REQUIRE(Esys_Initialize(&context, tcti_context, nullptr)
            == TSS2_RC_SUCCESS);
    CHECK(Esys_Shutdown(context, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                        TPM2_SU_CLEAR)
          == TSS2_RC_SUCCESS);
    Esys_Finalize(&context);
    Tss2_TctiLdr_Finalize(&tcti_context);
    cut_power();
  }

  /// Starts it, and TPM2_Startup(CLEAR) with it.
  void turn_on() {
    // Where it was, if it was somewhere. Another process may take a port
    // between our look and swtpm's.
    for (auto attempt = 0; attempt < 10; ++attempt) {
      if (port_ == 0 || attempt > 0)
        port_ = free_ports();
      start();
      if (answers())
        return;
      cut_power();
    }
    FAIL("swtpm does not start, is it installed?");
  }

  /// Makes it a new TPM.
  void replace() {
    cut_power();
    for (const auto& entry :
         std::filesystem::directory_iterator{directory_ / ""})
      std::filesystem::remove(entry);
    turn_on();
  }

private:
  static sockaddr_in address_of(std::uint16_t port) {
    auto out = sockaddr_in{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
  }

  static bool can_bind(std::uint16_t port) {
    const auto probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = address_of(port);
    const auto bound
      = ::bind(probe, reinterpret_cast<const sockaddr*>(&address),
               sizeof(address))
      == 0;
    ::close(probe);
    return bound;
  }

  /// Returns the first of two ports; the TCTI expects control at the second.
  static std::uint16_t free_ports() {
    // Below the ephemeral ports, which come and go.
    static auto next
      = static_cast<std::uint16_t>(20000 + ::getpid() % 1000 * 10);
    for (;;) {
      next = static_cast<std::uint16_t>(next >= 31000 ? 20000 : next + 2);
      if (can_bind(next) && can_bind(static_cast<std::uint16_t>(next + 1)))
        return next;
    }
  }

  void start() {
    const auto port = std::to_string(port_);
    const auto control = std::to_string(port_ + 1);
    const auto arguments
      = std::vector<std::string>{"swtpm",
                                 "socket",
                                 "--tpm2",
                                 "--tpmstate",
                                 "dir=" + directory_ / "",
                                 "--server",
                                 "type=tcp,bindaddr=127.0.0.1,port=" + port,
                                 "--ctrl",
                                 "type=tcp,bindaddr=127.0.0.1,port=" + control,
                                 "--flags",
                                 "not-need-init,startup-clear"};
    auto pointers = std::vector<char*>{};
    for (const auto& argument : arguments)
      pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ > 0)
      return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }

  /// Returns whether somebody listens, without disturbing them.
  static bool is_listening(int port) {
    char entry[32];
    // proc(5): local address and port, remote ones, 0A for LISTEN.
    std::snprintf(entry, sizeof(entry), ":%04X 00000000:0000 0A ", port);
    std::ifstream table{"/proc/net/tcp"};
    for (std::string line; std::getline(table, line);)
      if (line.find(entry) != std::string::npos)
        return true;
    return false;
  }

  /// Waits until it listens on both its ports.
  bool answers() {
    for (auto i = 0; i < 2000; ++i) {
      if (is_listening(port_) && is_listening(port_ + 1))
        return true;
      if (::waitpid(process_, nullptr, WNOHANG) == process_) {
        process_ = -1;
        return false;
      }
      ::poll(nullptr, 0, 10);
    }
    return false;
  }

  scratch_directory directory_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

} // namespace vtpm::tests
