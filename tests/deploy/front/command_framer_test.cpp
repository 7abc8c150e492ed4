#include "deploy/front/command_framer.hpp"

#include <doctest/doctest.h>

#include "protocol/big_endian.hpp"
#include "protocol/tpmif.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

/// A command whose size field is true, filled with `fill`.
byte_vector command_of(std::size_t size, std::uint8_t fill) {
  byte_vector octets(size, fill);
  protocol::store_be(octets.data() + 2, static_cast<std::uint32_t>(size));
  return octets;
}

byte_vector join(const std::vector<byte_vector>& commands) {
  byte_vector stream;
  for (const auto& one : commands)
    stream.insert(stream.end(), one.begin(), one.end());
  return stream;
}

/// Takes all commands that are complete.
void drain(command_framer& framer, std::vector<byte_vector>& commands) {
  for (;;) {
    auto next = framer.next();
    REQUIRE(next);
    if (!*next)
      return;
    commands.push_back(std::move(**next));
  }
}

} // namespace

TEST_SUITE("deploy/front/command_framer") {
  TEST_CASE("every split of a stream yields the same commands") {
    const std::vector commands
      = {command_of(10, 0xAA), command_of(11, 0xBB), command_of(14, 0xCC)};
    const auto stream = join(commands);
    for (std::size_t first = 0; first <= stream.size(); ++first)
      for (auto second = first; second <= stream.size(); ++second) {
        CAPTURE(first);
        CAPTURE(second);
        command_framer framer;
        std::vector<byte_vector> found;
        const byte_view all{stream};
        for (const auto part :
             {all.first(first), all.subspan(first, second - first),
              all.subspan(second)}) {
          framer.push(part);
          drain(framer, found);
        }
        CHECK(found == commands);
        CHECK_FALSE(framer.incomplete());
      }
  }

  TEST_CASE("octets may come one by one") {
    const std::vector commands
      = {command_of(10, 1), command_of(protocol::packet_size_max, 2)};
    const auto stream = join(commands);
    command_framer framer;
    std::vector<byte_vector> found;
    for (const auto& octet : stream) {
      framer.push({&octet, 1});
      drain(framer, found);
    }
    CHECK(found == commands);
  }

  TEST_CASE("a strict prefix is no command yet") {
    const auto command = command_of(12, 0);
    for (std::size_t length = 0; length < command.size(); ++length) {
      CAPTURE(length);
      command_framer framer;
      framer.push(byte_view{command}.first(length));
      const auto next = framer.next();
      REQUIRE(next);
      CHECK_FALSE(*next);
      CHECK(framer.incomplete() == (length > 0));
    }
  }

  TEST_CASE("a size that no command has is a problem that stays") {
    for (const std::uint32_t size :
         {0u, 1u, 9u, 4089u, 0x10000u, 0x80000000u, 0xFFFFFFFFu}) {
      CAPTURE(size);
      auto command = command_of(10, 0);
      protocol::store_be(command.data() + 2, size);
      command_framer framer;
      framer.push(command);
      CHECK_FALSE(framer.next());
      framer.push(command_of(10, 0));
      const auto next = framer.next();
      REQUIRE_FALSE(next);
      CHECK(next.error().text.find(std::to_string(size)) != std::string::npos);
    }
  }

  TEST_CASE("what came before a bad size is still a command") {
    auto stream = command_of(10, 7);
    stream.insert(stream.end(), {0, 0, 0, 0, 0, 0});
    command_framer framer;
    framer.push(stream);
    const auto good = framer.next();
    REQUIRE(good);
    CHECK(*good == command_of(10, 7));
    CHECK_FALSE(framer.next());
  }
}
