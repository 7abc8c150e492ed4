#include "deploy/parse_text.hpp"

#include <doctest/doctest.h>

using namespace vtpm;
using namespace vtpm::deploy;

TEST_SUITE("deploy/parse_text") {
  TEST_CASE("a number is digits that fit and nothing else") {
    CHECK(parse_number<std::uint16_t>("0") == 0);
    CHECK(parse_number<std::uint16_t>("65535") == 65535);
    for (const auto* text :
         {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "65536", "one"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_number<std::uint16_t>(text));
    }
  }

  TEST_CASE("splitting keeps empty parts, so joining gives the text back") {
    for (const std::string text : {"", ",", "a", "a,b", ",a,,b,"}) {
      CAPTURE(text);
      std::string joined;
      for (const auto part : split(text, ','))
        joined += std::string{part} + ',';
      joined.pop_back();
      CHECK(joined == text);
    }
  }

  TEST_CASE("PCR banks come in the order given, each once") {
    const auto banks = parse_pcr_banks("sha384,sha1");
    REQUIRE(banks);
    CHECK(*banks == std::vector<std::string>{"sha384", "sha1"});
    for (const auto* text :
         {"", "sha1,", ",sha1", "sha1,sha1", "SHA1", "md5", "sha1 ,sha256"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_pcr_banks(text));
    }
  }

  TEST_CASE("there are two TPM versions") {
    REQUIRE(parse_tpm_version("1.2"));
    CHECK(*parse_tpm_version("1.2") == tpm_version::v1_2);
    REQUIRE(parse_tpm_version("2.0"));
    CHECK(*parse_tpm_version("2.0") == tpm_version::v2_0);
    for (const auto* text : {"", "1", "2", "2.0 ", "1.20", "v2.0"}) {
      CAPTURE(text);
      REQUIRE_FALSE(parse_tpm_version(text));
      CHECK(parse_tpm_version(text).error().text.find("1.2 or 2.0")
            != std::string::npos);
    }
  }

  TEST_CASE("there are four log levels") {
    for (const auto* text : {"error", "warn", "info", "debug"})
      CHECK(parse_log_level(text));
    for (const auto* text : {"", "warning", "trace", "INFO"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_log_level(text));
    }
  }
}
