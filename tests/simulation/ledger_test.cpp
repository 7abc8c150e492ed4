// Goal: the simulator's judge lets nothing pass that breaks the promise.

#include <doctest/doctest.h>

#include "deploy/bench/packet.hpp"
#include "tests/simulation/ledger.hpp"

using namespace vtpm;
using namespace vtpm::simulation;

namespace {

constexpr auto version = tpm_version::v2_0;
constexpr auto increment = command{deed::increment, 0, 0};
constexpr auto extend = command{deed::extend, 0, 5};

guest_state counted(std::uint64_t counter) {
  return {counter, 0, {}};
}

byte_vector response(std::uint32_t code = 0) {
  return deploy::packet{0x8001, code}.finish();
}

byte_vector counter_response(std::uint64_t counter) {
  return deploy::packet{0x8001, 0}.zeros(6).put(counter).finish();
}

/// Two guests whose TPM is new.
struct fixture {
  void after_increment() {
    book.submitted(0, increment);
    book.answered(0, response(), false);
  }

  void finds(std::uint64_t counter) {
    book.reopened({counted(counter), {}}, true);
  }

  ledger book{version, {counted(0), {}}};
};

} // namespace

TEST_SUITE("simulation/ledger") {
  TEST_CASE_FIXTURE(fixture, "what was acknowledged has to be there") {
    after_increment();
    SUBCASE("") {
      CHECK_NOTHROW(finds(1));
    }
    SUBCASE("lost") {
      CHECK_THROWS_AS(finds(0), broken_promise);
    }
    SUBCASE("doubled") {
      CHECK_THROWS_AS(finds(2), broken_promise);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a command under way happened once or not") {
    after_increment();
    book.submitted(0, increment);
    SUBCASE("") {
      CHECK_NOTHROW(finds(1));
    }
    SUBCASE("") {
      CHECK_NOTHROW(finds(2));
      // That is known now.
      CHECK_THROWS_AS(finds(1), broken_promise);
    }
    SUBCASE("twice") {
      CHECK_THROWS_AS(finds(3), broken_promise);
    }
  }

  TEST_CASE_FIXTURE(fixture,
                    "a command taken again happens again, or does not") {
    book.submitted(0, increment);
    finds(1);
    SUBCASE("without a shadow") {
      book.taken_again(0, false);
      book.answered(0, response(), false);
      CHECK_NOTHROW(finds(2));
    }
    SUBCASE("with one") {
      book.taken_again(0, true);
      book.answered(0, response(), false);
      CHECK_THROWS_AS(finds(2), broken_promise);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a command given back has not happened") {
    book.submitted(0, increment);
    book.cancelled(0);
    CHECK_NOTHROW(finds(0));
    CHECK_THROWS_AS(finds(1), broken_promise);
  }

  TEST_CASE_FIXTURE(fixture, "who reads a change makes it known") {
    book.submitted(0, increment);
    book.submitted(1, {deed::read_counter, 0, 0});
    book.answered(1, counter_response(1), false);
    CHECK_THROWS_AS(finds(0), broken_promise);
  }

  TEST_CASE_FIXTURE(fixture, "a read returns nothing older than was known") {
    after_increment();
    book.submitted(1, {deed::read_counter, 0, 0});
    CHECK_THROWS_AS(book.answered(1, counter_response(0), false),
                    broken_promise);
  }

  TEST_CASE_FIXTURE(fixture, "a failure leaves both possible, where allowed") {
    book.submitted(0, increment);
    SUBCASE("") {
      book.answered(0, response(0x101), true);
      SUBCASE("") {
        CHECK_NOTHROW(finds(0));
      }
      SUBCASE("") {
        CHECK_NOTHROW(finds(1));
      }
    }
    SUBCASE("not allowed") {
      CHECK_THROWS_AS(book.answered(0, response(0x101), false), broken_promise);
    }
  }

  TEST_CASE_FIXTURE(fixture, "PCRs are kept or reset, nothing else") {
    book.submitted(0, extend);
    book.answered(0, response(), false);
    const auto extended = after(version, {}, extend);
    SUBCASE("kept") {
      CHECK_NOTHROW(book.reopened({extended, {}}, true));
    }
    SUBCASE("lost") {
      CHECK_THROWS_AS(book.reopened({{}, {}}, true), broken_promise);
    }
    SUBCASE("reset") {
      CHECK_NOTHROW(book.reopened({{}, {}}, false));
    }
    SUBCASE("not reset") {
      CHECK_THROWS_AS(book.reopened({extended, {}}, false), broken_promise);
    }
  }
}
