#include "deploy/vtpmd/control_request.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "protocol/admin.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

const control_request all_requests[]
  = {control_request::status,    control_request::frontends,
     control_request::stats,     control_request::reset,
     control_request::keep_next, control_request::resume,
     control_request::abandon,   control_request::restart,
     control_request::shutdown};

/// Returns the error of a reply, "" for a success.
std::string error_of(const std::string& reply) {
  const auto parsed = parse_control_reply(reply);
  return parsed ? "" : parsed.error().text;
}

} // namespace

TEST_SUITE("deploy/vtpmd/control_request") {
  TEST_CASE("encoding inverts parsing for every request") {
    for (const auto request : all_requests) {
      CAPTURE(to_string(request));
      const auto text = encode_control_request(request);
      CHECK(text
            == std::string{R"({"request":")"} + to_string(request) + R"("})");
      const auto parsed = parse_control_request(text);
      REQUIRE(parsed);
      CHECK(*parsed == request);
    }
  }

  TEST_CASE("every strict prefix is refused") {
    for (const auto request : all_requests) {
      const auto text = encode_control_request(request);
      for (std::size_t length = 0; length < text.size(); ++length) {
        CAPTURE(length);
        CHECK_FALSE(parse_control_request(text.substr(0, length)));
      }
    }
  }

  TEST_CASE("no flipped bit turns one request into another") {
    for (const auto request : all_requests) {
      const auto text = encode_control_request(request);
      for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
        CAPTURE(bit);
        auto flipped = text;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        CHECK_FALSE(parse_control_request(flipped));
      }
    }
  }

  TEST_CASE("blanks between tokens do not matter, anything else does") {
    CHECK(parse_control_request(" {\t\"request\" :\r\n\"stats\" } "));
    for (const auto* text : {
           "",
           " ",
           "null",
           "1",
           "\"stats\"",
           "stats",
           "[]",
           "{}",
           R"([{"request":"stats"}])",
           R"({"request":"stats"}x)",
           R"({"request":"stats"}{"request":"stats"})",
           R"({"request":"stats",})",
           R"({"request":"stats","more":1})",
           R"({"request":"stats","request":"shutdown"})",
           R"({"request":"stats","request":"stats"})",
           R"({"request":{"request":"stats"}})",
           R"({"request":["stats"]})",
           R"({"request":null})",
           R"({"request":5})",
           R"({"request":""})",
           R"({"request":"Stats"})",
           R"({"request":"stats "})",
           R"({"Request":"stats"})",
           "{\"request\":\"\xff\"}",
           "{'request':'stats'}",
           "/**/{\"request\":\"stats\"}",
         }) {
      CAPTURE(text);
      const auto parsed = parse_control_request(text);
      REQUIRE_FALSE(parsed);
      CHECK_FALSE(parsed.error().text.empty());
      CHECK(parsed.error().text.find('\n') == std::string::npos);
    }
  }

  TEST_CASE("a zero octet is no end") {
    std::string text = R"({"request":"stats"})";
    text.push_back('\0');
    CHECK_FALSE(parse_control_request(text));
    CHECK_FALSE(
      parse_control_request(std::string_view{"{\"request\":\"sta\0ts\"}", 19}));
  }

  TEST_CASE("the longest request is read, a longer one is not") {
    auto text = encode_control_request(control_request::status);
    text.append(protocol::admin_text_size_max - text.size(), ' ');
    CHECK(parse_control_request(text));
    CHECK_FALSE(parse_control_request(text + ' '));
  }

  TEST_CASE("the deepest nesting that fits is refused and not followed") {
    for (const auto* unit : {"[", "{\"a\":"}) {
      std::string text;
      while (text.size() + 5 <= protocol::admin_text_size_max)
        text += unit;
      CHECK_FALSE(parse_control_request(text));
    }
    const std::string half(protocol::admin_text_size_max / 2, '[');
    const std::string other_half(protocol::admin_text_size_max / 2, ']');
    CHECK_FALSE(parse_control_request(half + other_half));
  }

  TEST_CASE("a ring may ask for all but the end of the process") {
    for (const auto request : all_requests)
      CHECK(allowed_on_ring(request)
            == (request <= control_request::keep_next));
  }

  TEST_CASE("a reply is one line of printable ASCII, whatever it carries") {
    const std::string nasty = "\x1b[2J\n\"\\\xff\xc3\xa9";
    for (const auto& reply :
         {control_success({{"name", nasty}}), control_failure(nasty)}) {
      CAPTURE(reply);
      for (const auto one : reply)
        CHECK((one >= 0x20 && one <= 0x7E));
    }
  }

  TEST_CASE("a reply gives back what went in") {
    const auto body = parse_control_reply(control_success({{"a", {1, 2}}}));
    REQUIRE(body);
    CHECK(*body == nlohmann::json{{"a", {1, 2}}});
    const auto nothing
      = parse_control_reply(control_success(nlohmann::json::object()));
    REQUIRE(nothing);
    CHECK(*nothing == nlohmann::json::object());
    CHECK(error_of(control_failure("no disk")) == "no disk");
  }

  TEST_CASE("what is no reply is an error of its own") {
    for (const auto* text :
         {"", "{}", "[]", "null", R"({"ok":1})", R"({"ok":false})",
          R"({"ok":false,"error":7})", R"({"ok":true)", "garbage"}) {
      CAPTURE(text);
      CHECK(error_of(text) == "the reply is not one of vtpmd's");
    }
  }
}
