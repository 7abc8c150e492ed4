#pragma once

#include <string>

#include <doctest/doctest.h>

#include "protocol/errc.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"
#include "protocol/version.hpp"

// Makes failed checks print names instead of `{?}`.
namespace doctest {

template <>
struct StringMaker<vtpm::tpm_version> {
  static String convert(vtpm::tpm_version version) {
    return to_string(version);
  }
};

template <>
struct StringMaker<vtpm::protocol::errc> {
  static String convert(vtpm::protocol::errc code) {
    return to_string(code);
  }
};

template <>
struct StringMaker<vtpm::protocol::page_state> {
  static String convert(vtpm::protocol::page_state state) {
    return to_string(state);
  }
};

template <>
struct StringMaker<vtpm::protocol::refusal> {
  static String convert(vtpm::protocol::refusal reason) {
    using vtpm::protocol::refusal;
    switch (reason) {
      case refusal::bad_size:
        return "bad_size";
      case refusal::bad_tag:
        return "bad_tag";
      case refusal::bad_locality:
        return "bad_locality";
      case refusal::bad_parameter:
        return "bad_parameter";
      case refusal::failure:
        return "failure";
      case refusal::cancelled:
        return "cancelled";
    }
    return "unknown";
  }
};

template <>
struct StringMaker<vtpm::protocol::tpm_header> {
  static String convert(const vtpm::protocol::tpm_header& header) {
    const auto text = "tag " + std::to_string(header.tag) + ", size "
      + std::to_string(header.size) + ", code " + std::to_string(header.code);
    return text.c_str();
  }
};

template <>
struct StringMaker<vtpm::protocol::page_header> {
  static String convert(const vtpm::protocol::page_header& header) {
    const auto text = "length " + std::to_string(header.length) + ", state "
      + std::to_string(header.state) + ", locality "
      + std::to_string(header.locality) + ", pad " + std::to_string(header.pad)
      + ", nr_extra_pages " + std::to_string(header.nr_extra_pages);
    return text.c_str();
  }
};

} // namespace doctest
