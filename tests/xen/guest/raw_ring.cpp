#include "tests/xen/guest/raw_ring.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace vtpm::xen_test {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto pause = std::chrono::milliseconds{2};
constexpr auto handshake_limit = std::chrono::seconds{10};
constexpr auto answer_limit = std::chrono::seconds{30};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(2);
}

} // namespace

octets from_hex(const std::string& text) {
  octets data;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    data.push_back(static_cast<std::uint8_t>(
      std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  return data;
}

std::string to_hex(const octets& data) {
  std::string text;
  char digits[3];
  for (auto octet : data) {
    std::snprintf(digits, sizeof digits, "%02x", octet);
    text += digits;
  }
  return text;
}

raw_ring::raw_ring(unsigned handle)
  : path_("device/vtpm/" + std::to_string(handle)),
    store_(::xs_open(0)),
    grants_(::xengntshr_open(nullptr, 0)),
    events_(::xenevtchn_open(nullptr, 0)) {
  if (store_ == nullptr || grants_ == nullptr || events_ == nullptr)
    fail("cannot open the hypervisor's devices");
  backend_path_ = read(path_ + "/backend");
  if (backend_path_.empty())
    fail("there is no vTPM of that handle");
  backend_id_ = static_cast<std::uint32_t>(
    std::strtoul(read(path_ + "/backend-id").c_str(), nullptr, 10));
  page_ = static_cast<std::uint8_t*>(
    ::xengntshr_share_pages(grants_, backend_id_, 1, &grant_, 1));
  if (page_ == nullptr)
    fail("cannot share a page");
  const auto port = ::xenevtchn_bind_unbound_port(events_, backend_id_);
  if (port < 0)
    fail("cannot make an event channel");
  port_ = static_cast<evtchn_port_t>(port);
}

raw_ring::~raw_ring() {
  ::xengntshr_unshare(grants_, const_cast<std::uint8_t*>(page_), 1);
  ::xengntshr_close(grants_);
  ::xenevtchn_close(events_);
  ::xs_close(store_);
}

bool raw_ring::connect() {
  write_key("state", "1");
  write_key("ring-ref", std::to_string(grant_));
  write_key("event-channel", std::to_string(port_));
  write_key("feature-protocol-v2", "1");
  write_key("state", "3");
  if (!wait_for_backend("4"))
    return false;
  write_key("state", "4");
  return true;
}

bool raw_ring::close() {
  write_key("state", "5");
  write_key("state", "6");
  return wait_for_backend("2");
}

void raw_ring::write_key(const char* name, const std::string& value) {
  const auto path = path_ + '/' + name;
  if (!::xs_write(store_, XBT_NULL, path.c_str(), value.data(),
                  static_cast<unsigned>(value.size())))
    fail(path.c_str());
}

std::string raw_ring::backend_state() {
  return read(backend_path_ + "/state");
}

bool raw_ring::wait_for_backend(const std::string& state) {
  const auto deadline = clock::now() + handshake_limit;
  while (backend_state() != state) {
    if (clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

void raw_ring::place(std::uint8_t locality, const octets& packet,
                     std::uint32_t length) {
  page_[5] = locality;
  page_[6] = 0;
  page_[7] = 0;
  for (std::size_t i = 0; i < packet.size() && i < packet_max; ++i)
    page_[header_size + i] = packet[i];
  *reinterpret_cast<volatile std::uint32_t*>(page_) = length;
  set_state(submit);
  ring();
}

void raw_ring::ring() {
  ::xenevtchn_notify(events_, port_);
}

void raw_ring::set_state(std::uint8_t value) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  page_[4] = value;
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

std::optional<octets> raw_ring::wait() {
  const auto deadline = clock::now() + answer_limit;
  while (state() != idle && state() != finish) {
    if (clock::now() > deadline)
      return std::nullopt;
    std::this_thread::sleep_for(pause);
  }
  if (state() == idle)
    return octets{};
  const auto length = *reinterpret_cast<volatile std::uint32_t*>(page_);
  auto response = octets{};
  for (std::size_t i = 0; i < length && i < packet_max; ++i)
    response.push_back(std::uint8_t{page_[header_size + i]});
  return response;
}

std::optional<octets> raw_ring::transact(std::uint8_t locality,
                                         const octets& packet) {
  place(locality, packet, static_cast<std::uint32_t>(packet.size()));
  return wait();
}

std::string raw_ring::read(const std::string& path) {
  auto size = 0U;
  const auto text = std::unique_ptr<void, decltype(&std::free)>{
    ::xs_read(store_, XBT_NULL, path.c_str(), &size), &std::free};
  return text ? std::string{static_cast<const char*>(text.get()), size} : "";
}

} // namespace vtpm::xen_test
