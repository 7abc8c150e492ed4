#include "deploy/ctl/ask.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "deploy/vtpmd/control_socket.hpp"
#include "protocol/admin.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpmif.hpp"
#include "tests/xenio/scratch_directory.hpp"
#include "tests/xenio/test_loop.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

/// A vtpmd behind a ring, as far as its administrator's gate goes.
class scripted_ring final : public xenio::frontend {
public:
  /// Returns the reply to a request; called for every page.
  std::function<std::string()> reply = [] { return std::string{}; };
  tpm_version version = tpm_version::v2_0;
  std::size_t page_size_max = protocol::packet_size_max;
  int requests = 0;
  /// Instead of a reply.
  std::optional<byte_vector> response;

  xenio::result<byte_vector> transact(std::uint8_t locality, byte_view request,
                                      std::chrono::milliseconds) override {
    ++requests;
    CHECK(locality == protocol::admin_locality);
    if (response)
      return *response;
    if (!protocol::is_admin_command(version, request)) {
      const auto refusal
        = protocol::error_response(version, protocol::refusal::bad_tag);
      return byte_vector{refusal.begin(), refusal.end()};
    }
    const auto asked = protocol::decode_admin_request(version, request);
    REQUIRE(asked);
    CHECK(asked->text == "question");
    return protocol::encode_admin_reply(version, reply(), asked->offset,
                                        page_size_max);
  }

  xenio::result<unit> submit(std::uint8_t, byte_view) override {
    return unit{};
  }

  void cancel() noexcept override {
    // nop
  }

  int descriptor() const noexcept override {
    return -1;
  }

  xenio::result<std::optional<completion>> poll() override {
    return std::optional<completion>{};
  }
};

/// Serves a control socket while `ask_socket` waits on this thread.
ask_result<std::string> ask_server(const std::string& reply) {
  const tests::scratch_directory directory;
  const auto path = (directory.path() / "control").string();
  std::atomic<bool> done = false;
  std::atomic<bool> listening = false;
  std::string asked;
  std::thread server{[&] {
    tests::test_loop loop;
    const auto socket = control_socket::listen(
      loop, path, [&](std::string text, control_socket::responder answer) {
        asked = std::move(text);
        answer(reply);
      });
    REQUIRE(socket);
    listening = true;
    while (!done)
      loop.turn(std::chrono::milliseconds{1});
  }};
  while (!listening)
    std::this_thread::yield();
  auto got = ask_socket(path, "question");
  done = true;
  server.join();
  CHECK(asked == "question");
  return got;
}

} // namespace

TEST_SUITE("deploy/ctl/ask") {
  TEST_CASE("a socket's reply comes whole, short or long") {
    for (const std::size_t size : {0u, 1u, 4095u, 4096u, 1'000'000u}) {
      CAPTURE(size);
      const std::string reply(size, 'r');
      const auto got = ask_server(reply);
      REQUIRE(got);
      CHECK(*got == reply);
    }
  }

  TEST_CASE("a reply beyond the limit is refused") {
    const auto got = ask_server(std::string(reply_size_max + 10'000, 'r'));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == exit_code::failure);
  }

  TEST_CASE("nobody there is another exit code than a refusal") {
    const auto got = ask_socket("/nonexistent/control", "question");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == exit_code::no_connection);
    CHECK(got.error().text.find("/nonexistent/control") != std::string::npos);
  }

  TEST_CASE("a ring's reply is read page by page, in either version") {
    std::string reply;
    for (auto i = 0; i < 5000; ++i)
      reply += std::to_string(i);
    for (const auto version : {tpm_version::v1_2, tpm_version::v2_0})
      for (const std::size_t page : {19u, 100u, 4088u})
        for (const bool known : {false, true}) {
          CAPTURE(to_string(version));
          CAPTURE(page);
          scripted_ring ring;
          ring.version = version;
          ring.page_size_max = page;
          ring.reply = [&reply] { return reply; };
          const auto got = ask_ring(
            ring, known ? std::optional{version} : std::nullopt, "question");
          REQUIRE(got);
          CHECK(*got == reply);
        }
  }

  TEST_CASE("an empty reply takes one page") {
    scripted_ring ring;
    const auto got = ask_ring(ring, tpm_version::v2_0, "question");
    REQUIRE(got);
    CHECK(got->empty());
    CHECK(ring.requests == 1);
  }

  TEST_CASE("the wrong version is said to be wrong") {
    scripted_ring ring;
    CHECK_FALSE(ask_ring(ring, tpm_version::v1_2, "question"));
  }

  TEST_CASE("a reply that grows meanwhile is read anew") {
    scripted_ring ring;
    ring.page_size_max = 100;
    ring.reply = [&ring] {
      return std::string(500, 'a' + (ring.requests > 3 ? 1 : 0))
        + (ring.requests > 3 ? "!" : "");
    };
    const auto got = ask_ring(ring, tpm_version::v2_0, "question");
    REQUIRE(got);
    CHECK(*got == std::string(500, 'b') + "!");
    ring.reply = [&ring] {
      return std::string(500 + static_cast<std::size_t>(ring.requests), 'a');
    };
    CHECK_FALSE(ask_ring(ring, tpm_version::v2_0, "question"));
  }

  TEST_CASE("a refusal names locality 8") {
    scripted_ring ring;
    for (const auto version : {tpm_version::v1_2, tpm_version::v2_0})
      for (const auto reason : {protocol::refusal::bad_locality,
                                protocol::refusal::bad_parameter}) {
        const auto refusal = protocol::error_response(version, reason);
        ring.response = byte_vector{refusal.begin(), refusal.end()};
        const auto got = ask_ring(ring, version, "question");
        REQUIRE_FALSE(got);
        CHECK(got.error().code == exit_code::failure);
        CHECK(got.error().text.find("locality 8") != std::string::npos);
      }
  }

  TEST_CASE("no cut or flipped response makes the reading go on for ever") {
    const auto good
      = protocol::encode_admin_reply(tpm_version::v2_0, "some reply", 0, 4088);
    for (std::size_t length = 0; length < good.size(); ++length) {
      CAPTURE(length);
      scripted_ring ring;
      ring.response = byte_vector{
        good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)};
      CHECK_FALSE(ask_ring(ring, tpm_version::v2_0, "question"));
    }
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      CAPTURE(bit);
      scripted_ring ring;
      ring.response = good;
      (*ring.response)[bit / 8]
        = static_cast<std::uint8_t>((*ring.response)[bit / 8] ^ 1 << bit % 8);
      const auto got = ask_ring(ring, tpm_version::v2_0, "question");
      if (got)
        CHECK(got->size() == 10);
      CHECK(ring.requests <= 3);
    }
  }
}
