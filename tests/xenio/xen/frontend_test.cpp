// Goal: a user of `connect` gets every answer, and leaves the device as a
// toolstack made it.
// Method: a backend on the real channels and store thread, on a thread of its
// own, over a machine and a xenstored that the test plays.

#include "xenio/xen/frontend.hpp"

#include <chrono>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "tests/xenio/echo_backend.hpp"
#include "tests/xenio/test_loop.hpp"
#include "tests/xenio/xen/fake_machine.hpp"
#include "tests/xenio/xen/scripted_xenstored.hpp"
#include "xenio/xen/admin_device.hpp"
#include "xenio/xen/port_channels.hpp"
#include "xenio/xen/store_thread.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using namespace std::chrono_literals;
using tests::fake_machine;
using tests::scripted_xenstored;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};
const std::string device = "device/vtpm/0";
const std::string backend_nodes = "backend/vtpm/7/0";

/// A vTPM domain, from its start to its end.
class vtpm_domain {
public:
  vtpm_domain(const std::shared_ptr<scripted_xenstored>& xenstored,
              const std::shared_ptr<fake_machine>& machine)
    : grants_(machine->grants()) {
    auto started = xen::store_thread::start(loop_, xenstored->connect());
    REQUIRE(started);
    store_ = *std::move(started);
    events_ = std::make_unique<xen::port_channels>(loop_, machine->events());
    backend_
      = std::make_unique<tests::echo_backend>(*grants_, *events_, *store_);
    // Its watch is in place once what was asked after it is answered.
    auto is_watching = false;
    store_->list("backend",
                 [&](const std::vector<std::string>&) { is_watching = true; });
    REQUIRE(loop_.turn_until([&] { return is_watching; }));
    thread_ = std::thread{[this] {
      while (!stop_)
        loop_.turn(std::chrono::milliseconds{1000});
      backend_.reset();
      events_.reset();
      store_.reset();
      loop_.settle();
    }};
  }

  ~vtpm_domain() {
    loop_.defer([this] { stop_ = true; });
    thread_.join();
  }

  /// Runs `job` with the backend, on its thread.
  template <class Job>
  void with_backend(Job job) {
    std::promise<void> done;
    loop_.defer([&] {
      job(*backend_);
      done.set_value();
    });
    done.get_future().get();
  }

private:
  tests::test_loop loop_;
  bool stop_ = false;
  std::unique_ptr<grant_mapper> grants_;
  std::unique_ptr<xen::store_thread> store_;
  std::unique_ptr<xen::port_channels> events_;
  std::unique_ptr<tests::echo_backend> backend_;
  std::thread thread_;
};

struct fixture {
  /// Makes the device as a toolstack does.
  void attach() {
    xenstored->set(device + "/backend", backend_nodes);
    xenstored->set(device + "/backend-id", "3");
    xenstored->set(device + "/state", "1");
    xenstored->set(backend_nodes + "/frontend-id", "7");
    xenstored->set(backend_nodes + "/online", "1");
    xenstored->set(backend_nodes + "/state", "1");
    // Last: what the backend of these tests looks at.
    xenstored->set(backend_nodes + "/frontend", device);
  }

  auto connect(std::chrono::milliseconds limit = 10s) {
    return xen::connect(
      {xenstored->connect(), machine->events(), machine->pages()}, device,
      limit);
  }

  std::string frontend_state() {
    return xenstored->get(device + "/state").value_or("absent");
  }

  std::shared_ptr<scripted_xenstored> xenstored
    = std::make_shared<scripted_xenstored>();
  std::shared_ptr<fake_machine> machine = std::make_shared<fake_machine>();
};

} // namespace

TEST_SUITE("xenio/xen/frontend") {
  TEST_CASE_FIXTURE(fixture, "requests get their responses") {
    vtpm_domain domain{xenstored, machine};
    attach();
    auto guest = connect();
    REQUIRE_MESSAGE(guest, guest.error().detail);
    CHECK(frontend_state() == "4");
    CHECK(xenstored->get(device + "/feature-protocol-v2") == "1");
    for (std::size_t size : {10u, 4088u}) {
      const auto sent = byte_vector(size, 0xA5);
      const auto answer = (*guest)->transact(2, sent, 10s);
      REQUIRE_MESSAGE(answer, answer.error().detail);
      CHECK(*answer == sent);
    }
    auto locality = 0;
    domain.with_backend(
      [&](auto& backend) { locality = backend.last_header.locality; });
    CHECK(locality == 2);
  }

  TEST_CASE_FIXTURE(fixture, "the device is left as it was made") {
    vtpm_domain domain{xenstored, machine};
    attach();
    for (auto round = 0; round < 3; ++round) {
      auto guest = connect();
      REQUIRE_MESSAGE(guest, guest.error().detail);
      REQUIRE((*guest)->transact(0, request, 10s));
      guest->reset();
      CHECK(frontend_state() == "1");
      CHECK_FALSE(xenstored->get(device + "/ring-ref"));
      CHECK_FALSE(xenstored->get(device + "/event-channel"));
      // The frontend goes as soon as the backend has closed.
      CHECK(xenstored->await(backend_nodes + "/state", "2", 10s));
      CHECK(machine->open_ports() == 0);
      CHECK(machine->granted_pages() == 0);
    }
  }

  TEST_CASE_FIXTURE(fixture, "without a device it says what to do") {
    vtpm_domain domain{xenstored, machine};
    const auto guest = connect();
    REQUIRE_FALSE(guest);
    CHECK(guest.error().code == errc::refused);
    CHECK(guest.error().detail.find("vtpm-attach") != std::string::npos);
    CHECK(machine->open_ports() == 0);
  }

  TEST_CASE_FIXTURE(fixture, "without a backend it waits only so long") {
    attach();
    const auto guest = connect(10ms);
    REQUIRE_FALSE(guest);
    CHECK(guest.error().code == errc::timed_out);
  }

  TEST_CASE_FIXTURE(fixture, "a backend that refuses is an error") {
    vtpm_domain domain{xenstored, machine};
    domain.with_backend([](auto& backend) { backend.is_refusing = true; });
    attach();
    const auto guest = connect();
    REQUIRE_FALSE(guest);
    CHECK(guest.error().code == errc::refused);
  }

  TEST_CASE_FIXTURE(fixture, "what a killed frontend left behind is closed") {
    vtpm_domain domain{xenstored, machine};
    attach();
    {
      // Connected for ever, as far as the nodes say.
      auto killed = connect();
      REQUIRE(killed);
      auto guest = connect();
      REQUIRE_MESSAGE(guest, guest.error().detail);
      const auto answer = (*guest)->transact(0, request, 10s);
      REQUIRE_MESSAGE(answer, answer.error().detail);
      CHECK(*answer == response);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a request survives its backend") {
    attach();
    auto first = std::make_unique<vtpm_domain>(xenstored, machine);
    xenstored->set(backend_nodes + "/online", "1");
    auto guest = connect();
    REQUIRE_MESSAGE(guest, guest.error().detail);
    first->with_backend([](auto& backend) { backend.is_stuck = true; });
    auto answer = std::async(
      std::launch::async, [&] { return (*guest)->transact(0, request, 20s); });
    first.reset();
    // The next one asks for a new connection.
    vtpm_domain second{xenstored, machine};
    xenstored->set(backend_nodes + "/online", "1");
    const auto got = answer.get();
    REQUIRE_MESSAGE(got, got.error().detail);
    CHECK(*got == response);
  }

  TEST_CASE_FIXTURE(fixture, "a request moves to a new vTPM domain") {
    auto first = std::make_unique<vtpm_domain>(xenstored, machine);
    attach();
    auto guest = connect();
    REQUIRE_MESSAGE(guest, guest.error().detail);
    first->with_backend([](auto& backend) { backend.is_stuck = true; });
    auto answer = std::async(
      std::launch::async, [&] { return (*guest)->transact(0, request, 20s); });
    first.reset();
    // The toolstack attaches the device to another backend.
    xenstored->set(device + "/backend-id", "4");
    vtpm_domain second{xenstored, machine};
    xenstored->set(backend_nodes + "/online", "1");
    const auto got = answer.get();
    REQUIRE_MESSAGE(got, got.error().detail);
    CHECK(*got == response);
    CHECK(machine->granted_pages() == 1);
  }

  TEST_CASE_FIXTURE(fixture, "a request given up is cancelled") {
    vtpm_domain domain{xenstored, machine};
    attach();
    auto guest = connect();
    REQUIRE(guest);
    domain.with_backend([](auto& backend) { backend.is_stuck = true; });
    const auto answer = (*guest)->transact(0, request, 1ms);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::timed_out);
    domain.with_backend([](auto& backend) {
      backend.is_stuck = false;
      backend.look_at_all();
    });
    const auto next = (*guest)->transact(0, request, 10s);
    REQUIRE_MESSAGE(next, next.error().detail);
    CHECK(*next == response);
  }
}
