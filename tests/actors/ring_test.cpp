// Goal: one frontend's page is served by the book, whatever the guest does.
// Method: the whole domain on a simulated hypervisor; the guest writes
// anything.

#include "actors/ring.hpp"

#include <algorithm>

#include "protocol/admin.hpp"
#include "protocol/error_response.hpp"
#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using protocol::page_header;
using protocol::page_state;

namespace {

constexpr auto submit_state = static_cast<std::uint8_t>(page_state::submit);

struct world : domain_fixture {
  world() {
    guest = connect(1);
  }

  /// Submits whatever this is and returns the result code of the answer.
  std::uint32_t refused(const page_header& header, byte_view octets) {
    guest->submit_raw(header, octets);
    settle_all();
    CHECK(guest->state() == static_cast<std::uint8_t>(page_state::finish));
    auto view = page_view();
    const auto answer = header_in(view);
    CHECK(answer.length == 10);
    return protocol::load_be<std::uint32_t>(view.data() + header.packet_offset()
                                            + 6);
  }

  std::span<const std::uint8_t> page_view() {
    return guest->page().octets;
  }

  static page_header header_in(std::span<const std::uint8_t> page) {
    return page_header::decode(page.first<protocol::page_header_size>());
  }

  bool is_idle() {
    return guest->state() == static_cast<std::uint8_t>(page_state::idle);
  }

  /// The next good command is served as if nothing had been.
  void check_alive() {
    guest->submit(0, make_request(scripted::read));
    settle_all();
    auto response = guest->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == 0);
  }

  std::unique_ptr<xenio::simulated::guest> guest;
};

constexpr std::uint32_t rc_command_size = 0x142;
constexpr std::uint32_t rc_bad_tag = 0x1E;
constexpr std::uint32_t rc_locality = 0x907;

} // namespace

TEST_SUITE("actors/ring") {
  TEST_CASE_FIXTURE(world, "a request is answered with FINISH and one ring") {
    const auto rings = guest->rings;
    guest->submit(0, make_request(scripted::read));
    settle_all();
    CHECK(guest->take_response());
    CHECK(guest->rings == rings + 1);
  }

  TEST_CASE_FIXTURE(world, "every impossible length gets a 10-octet error") {
    const auto request = make_request(scripted::read);
    for (std::uint32_t length :
         {0u, 1u, 9u, 4089u, 4096u, 0x7FFFFFFFu, 0xFFFFFFF8u, 0xFFFFFFFFu}) {
      CAPTURE(length);
      CHECK(refused({length, submit_state, 0, 0, 0}, request)
            == rc_command_size);
    }
    CHECK(report_of(*guest).malformed == 8);
    CHECK(script->executed == 0);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "a header size other than the length is refused") {
    auto request = make_request(scripted::read);
    for (std::uint8_t size : byte_vector{0, 9, 11, 255}) {
      CAPTURE(size);
      request[5] = size;
      CHECK(refused({10, submit_state, 0, 0, 0}, request) == rc_command_size);
    }
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "an unknown or 1.2 tag is refused in the 1.2 form") {
    for (std::uint16_t tag : std::vector<std::uint16_t>{
           0x0000, 0x00C1, 0x00C4, 0x8000, 0x8003, 0xFFFF}) {
      CAPTURE(tag);
      auto request = make_request(scripted::read);
      protocol::store_be(request.data(), tag);
      CHECK(refused({10, submit_state, 0, 0, 0}, request) == rc_bad_tag);
      CHECK(protocol::load_be<std::uint16_t>(page_view().data() + 8) == 0x00C4);
    }
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "the largest number of extra pages still works") {
    const auto header = page_header{10, submit_state, 0, 0, 255};
    guest->submit_raw(header, make_request(scripted::read));
    settle_all();
    CHECK(script->executed == 1);
    CHECK(header_in(page_view()).length == 18);
  }

  TEST_CASE_FIXTURE(world, "a length that does not fit behind extra pages") {
    const auto header = page_header{4088, submit_state, 0, 0, 255};
    CHECK(refused(header, {}) == rc_command_size);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "what the guest changes later changes nothing") {
    // Between any two reads of the backend the guest rewrites the header.
    auto& page = guest->page();
    guest->submit(0, make_request(scripted::increment));
    auto spoilt = 0;
    page.before_read = [&](auto octets) {
      if (page.reads >= 3 && spoilt++ == 0) {
        octets[0] = 0xFF; // length
        octets[1] = 0xFF;
        octets[5] = 4;   // locality
        octets[7] = 200; // extra pages
      }
    };
    page.reads = 0;
    run_to_end();
    page.before_read = {};
    CHECK(script->last_locality == 0);
    // The answer went where the request was, not behind 200 extra pages.
    CHECK(header_in(page_view()).length == 18);
    CHECK(protocol::load_be<std::uint16_t>(page_view().data() + 8) == 0x8001);
  }

  TEST_CASE_FIXTURE(world,
                    "a state that changed before the copy is no request") {
    auto& page = guest->page();
    guest->submit(0, make_request(scripted::read));
    page.reads = 0;
    page.before_read = [&](auto octets) {
      if (page.reads == 1)
        octets[protocol::page_state_offset]
          = static_cast<std::uint8_t>(page_state::finish);
    };
    settle_all();
    page.before_read = {};
    CHECK(script->executed == 0);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "events for nothing do nothing") {
    guest->ring(50);
    settle_all();
    CHECK(script->executed == 0);
    guest->submit(0, make_request(scripted::increment));
    guest->ring(50);
    settle_all();
    CHECK(script->executed == 1);
    run_to_end();
    CHECK(guest->take_response());
    guest->ring(50);
    settle_all();
    CHECK(script->executed == 1);
  }

  TEST_CASE_FIXTURE(world, "a page state that does not exist is ignored") {
    for (std::uint8_t state : byte_vector{4, 5, 127, 255}) {
      CAPTURE(state);
      guest->submit_raw({10, state, 0, 0, 0}, make_request(scripted::read));
      settle_all();
      CHECK(guest->state() == state);
    }
    CHECK(script->executed == 0);
    CHECK(report_of(*guest).malformed == 4);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "CANCEL with nothing running answers IDLE") {
    const auto rings = guest->rings;
    guest->cancel();
    settle_all();
    CHECK(is_idle());
    CHECK(guest->rings == rings + 1);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "CANCEL of a queued command removes it") {
    auto other = connect(2);
    other->submit(0, make_request(scripted::create));
    settle_all();
    REQUIRE(helper->busy());
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    guest->cancel();
    settle_all();
    CHECK(is_idle());
    run_to_end();
    CHECK(script->counter == 0);
    CHECK(other->take_response());
    check_alive();
  }

  TEST_CASE_FIXTURE(world,
                    "CANCEL of a running command is told to the engine") {
    guest->submit(0, make_request(scripted::create));
    settle_all();
    guest->cancel();
    settle_all();
    CHECK(script->cancels == 1);
    guest->ring(); // does not cancel twice
    settle_all();
    CHECK(script->cancels == 1);
    run_to_end();
    auto view = page_view();
    CHECK(guest->state() == static_cast<std::uint8_t>(page_state::finish));
    CHECK(protocol::load_be<std::uint32_t>(view.data() + 14) == 0x909);
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "CANCEL by one frontend leaves another's running") {
    auto other = connect(2);
    other->submit(0, make_request(scripted::create));
    settle_all();
    guest->cancel();
    settle_all();
    CHECK(is_idle());
    CHECK(script->cancels == 0);
  }

  TEST_CASE_FIXTURE(world, "CANCEL while the response waits for the disk") {
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    guest->cancel();
    settle_all();
    CHECK(guest->state() == static_cast<std::uint8_t>(page_state::cancel));
    run_to_end();
    CHECK(guest->state() == static_cast<std::uint8_t>(page_state::finish));
    CHECK(stored_counter() == 1);
  }

  TEST_CASE_FIXTURE(world, "a CANCEL that crosses the response ends in IDLE") {
    guest->submit(0, make_request(scripted::read));
    settle_all();
    guest->cancel();
    settle_all();
    CHECK(is_idle());
    check_alive();
  }

  TEST_CASE_FIXTURE(world, "a locality that no rule allows is refused") {
    for (auto locality : {1, 2, 3, 4, 5, 7, 9, 34, 255}) {
      CAPTURE(locality);
      CHECK(
        refused({10, submit_state, static_cast<std::uint8_t>(locality), 0, 0},
                make_request(scripted::read))
        == rc_locality);
    }
    CHECK(script->executed == 0);
    CHECK(report_of(*guest).denied == 9);
    check_alive();
  }

  TEST_CASE("localities are the request's own, and only the allowed ones") {
    std::string problem;
    auto rule = actors::locality_rule::parse("domid=7:2,8", problem);
    REQUIRE(rule);
    domain_fixture domain{1, {*rule}};
    auto allowed = domain.connect(7);
    for (std::uint8_t locality : byte_vector{2, 0, 2}) {
      allowed->submit(locality, make_request(scripted::read));
      domain.settle_all();
      CHECK(allowed->take_response());
      CHECK(domain.script->last_locality == locality);
    }
    // 8 carries control requests and nothing else.
    const auto executed = domain.script->executed;
    allowed->submit(8, make_request(scripted::read));
    domain.settle_all();
    auto response = allowed->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == rc_locality);
    CHECK(domain.script->executed == executed);
  }

  TEST_CASE("the administrator's gate answers at locality 8 only") {
    std::string problem;
    auto rule = actors::locality_rule::parse("domid=7:1,8", problem);
    REQUIRE(rule);
    domain_fixture domain{1, {*rule}};
    auto admin = domain.connect(7);
    auto guest = domain.connect(3);
    const auto request
      = protocol::encode_admin_request(tpm_version::v2_0, {0, "hello"});
    admin->submit(8, request);
    domain.settle_all();
    auto response = admin->take_response();
    REQUIRE(response);
    auto reply = protocol::decode_admin_reply(*response);
    REQUIRE(reply);
    CHECK(reply->text == "ring: hello");
    for (std::uint8_t locality : byte_vector{0, 1, 2, 8}) {
      auto& asking = locality == 1 ? *admin : *guest;
      CAPTURE(locality);
      asking.submit(locality, request);
      domain.settle_all();
      response = asking.take_response();
      REQUIRE(response);
      CHECK(result_of(*response) == rc_locality);
    }
    CHECK(domain.script->executed == 0);
  }

  TEST_CASE("a long control reply is read in steps that fit together") {
    std::string problem;
    auto rule = actors::locality_rule::parse("domid=*:8", problem);
    REQUIRE(rule);
    domain_fixture domain{1, {*rule}};
    auto admin = domain.connect(7);
    const auto text = std::string(protocol::admin_text_size_max, 'x');
    std::string whole;
    std::uint32_t total = 0;
    // A page full of extra pages leaves 3068 octets; the reply needs one step
    // there, and reading past its end gives an empty one.
    do {
      admin->submit(
        8,
        protocol::encode_admin_request(
          tpm_version::v2_0, {static_cast<std::uint32_t>(whole.size()), text}));
      domain.settle_all();
      auto response = admin->take_response();
      REQUIRE(response);
      auto reply = protocol::decode_admin_reply(*response);
      REQUIRE(reply);
      total = reply->total;
      whole += reply->text;
    } while (whole.size() < total);
    CHECK(whole == "ring: " + text);
  }

  TEST_CASE_FIXTURE(world, "a drained ring leaves new requests in the page") {
    auto pending
      = self->request(supervisor, caf::infinite, actors::drain_atom_v);
    run_to_end();
    pending.receive([](actors::done_atom) {},
                    [](const caf::error&) { FAIL("the drain failed"); });
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    CHECK(guest->state() == submit_state);
    CHECK(script->counter == 0);
  }

  TEST_CASE_FIXTURE(world, "counters tell what a frontend did") {
    guest->submit(0, make_request(scripted::read));
    settle_all();
    refused({3, submit_state, 0, 0, 0}, {});
    refused({10, submit_state, 3, 0, 0}, make_request(scripted::read));
    guest->cancel();
    settle_all();
    const auto report = report_of(*guest);
    CHECK(report.commands == 3);
    CHECK(report.errors == 2);
    CHECK(report.malformed == 1);
    CHECK(report.denied == 1);
    CHECK(report.cancels == 1);
    CHECK(report.bytes_in == 20);
    CHECK(report.bytes_out == 18 + 10 + 10);
    CHECK(report.latency.count() == 3);
  }
}
