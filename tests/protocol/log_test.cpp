#include "protocol/log.hpp"

#include <spdlog/logger.h>

#include <doctest/doctest.h>

using namespace vtpm;

TEST_SUITE("protocol/log") {
  TEST_CASE("a level is set by its name and by no other text") {
    struct row {
      const char* name;
      spdlog::level::level_enum expected;
    };
    const row rows[] = {
      {"debug", spdlog::level::debug},
      {"warn", spdlog::level::warn},
      {"error", spdlog::level::err},
      {"info", spdlog::level::info},
    };
    for (const auto& row : rows) {
      CAPTURE(row.name);
      CHECK(set_log_level(row.name));
      CHECK(log().level() == row.expected);
    }
    for (auto name : {"", "off", "trace", "INFO", "info "}) {
      CAPTURE(name);
      CHECK_FALSE(set_log_level(name));
      CHECK(log().level() == spdlog::level::info);
    }
  }
}
