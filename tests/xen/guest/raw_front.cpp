// A frontend in user space for the guests of the tests.
//
//   raw-front exec HANDLE LOCALITY HEX...   sends commands, prints responses
//   raw-front crash HANDLE LOCALITY HEX...  the same, and goes without a word
//   raw-front ATTACK                        misbehaves, then has to be served

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "tests/xen/guest/raw_ring.hpp"

using namespace vtpm::xen_test;

namespace {

/// TPM_GetCapability(TPM_CAP_PROPERTY, TPM_CAP_PROP_MANUFACTURER).
const auto good_command
  = from_hex("00c10000001600000065000000050000000400000103");

/// The manufacturer's name takes four octets, after header and size.
constexpr auto good_response_size = 10 + 4 + 4;

/// Requests of which each has to be answered while its page changes.
constexpr auto flipped_requests = 100;

/// Events of one half of a storm. Each is a switch between domains, which takes
/// long on an emulated processor.
constexpr auto storm_events = 5000;

/// The same attack at every run.
constexpr auto seed = 20260U;

bool is_served(raw_ring& ring) {
  const auto response = ring.transact(0, good_command);
  return response && response->size() == good_response_size;
}

/// Ends the program, saying why.
[[noreturn]] void give_up(const std::string& what) {
  std::printf("attack failed: %s\n", what.c_str());
  std::exit(1);
}

/// Lengths that are wrong for the page or for the packet: each is answered.
void send_bad_lengths(raw_ring& ring) {
  for (std::uint32_t length :
       {0U, 1U, 9U, 10U, 21U, 23U, 4087U, 4088U, 4089U, 4096U, 65536U,
        0x7FFFFFFFU, 0x80000000U, 0xFFFFFFF8U, 0xFFFFFFFFU}) {
    ring.place(0, good_command, length);
    const auto response = ring.wait();
    if (!response)
      give_up("no answer to length " + std::to_string(length));
    if (response->size() != 10)
      give_up("length " + std::to_string(length) + " is answered with "
              + to_hex(*response));
  }
}

/// Pages that do not exist: the backend must not look for them.
void claim_extra_pages(raw_ring& ring) {
  for (auto pages : {1, 2, 255}) {
    ring.place(0, good_command, 4088);
    ring.page()[7] = static_cast<std::uint8_t>(pages);
    if (!ring.wait())
      give_up("no answer to extra pages");
  }
  ring.page()[7] = 0;
}

/// Another thread changes what is in the page while the backend reads it.
void flip_contents(raw_ring& ring) {
  std::atomic<bool> stop{false};
  std::thread flipper{[&] {
    std::minstd_rand random{seed};
    while (!stop) {
      const auto offset = random() % 64;
      if (offset != 4) // the state is the backend's to answer with
        ring.page()[offset] = static_cast<std::uint8_t>(random());
    }
  }};
  auto answered = 0;
  for (auto i = 0; i < flipped_requests; ++i) {
    ring.place(0, good_command, 22);
    answered += ring.wait() ? 1 : 0;
  }
  stop = true;
  flipper.join();
  if (answered != flipped_requests)
    give_up("only " + std::to_string(answered)
            + " requests were answered while the page changed");
}

/// Events without a request, and many of them with one.
void storm(raw_ring& ring) {
  for (auto i = 0; i < storm_events; ++i)
    ring.ring();
  ring.place(0, good_command, 22);
  for (auto i = 0; i < storm_events; ++i)
    ring.ring();
  if (!ring.wait())
    give_up("no answer in a storm of events");
}

/// States that a frontend may not write, or that there are not.
void write_impossible_states(raw_ring& ring) {
  std::minstd_rand random{seed};
  for (auto i = 0; i < 2000; ++i) {
    ring.set_state(
      static_cast<std::uint8_t>(i % 3 == 0 ? random() : random() % 5));
    ring.ring();
  }
  // Whatever was under way ends before the page is used again.
  std::this_thread::sleep_for(std::chrono::seconds{1});
  ring.set_state(raw_ring::cancel);
  ring.ring();
  if (!ring.wait())
    give_up("CANCEL is not answered");
}

/// Offers what is not this frontend's to offer, or is nothing at all.
void offer_wrong_grants(raw_ring& ring) {
  // 0 is the page of the console.
  for (auto reference : {"0", "4294967295", "99999999999999999999", "-1", "",
                         "ring", "7777777"}) {
    ring.write_key("state", "1");
    ring.write_key("ring-ref", reference);
    ring.write_key("event-channel", "99999");
    ring.write_key("feature-protocol-v2", "1");
    ring.write_key("state", "3");
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
  }
  ring.write_key("feature-protocol-v2", "0");
  ring.write_key("state", "4");
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
}

/// Garbage and leaps where the store says how far a connection is.
void leap_through_states(raw_ring& ring) {
  const auto long_text = std::string(2000, '4');
  for (auto state : {"4", "1", "6", "3", "9", "x", "", "-3", "5", "4", "6", "1",
                     "7", "8", "2", long_text.c_str()}) {
    ring.write_key("state", state);
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  for (auto i = 0; i < 300; ++i)
    ring.write_key("state", std::to_string(i % 7));
}

struct attack {
  const char* name;
  void (*run)(raw_ring&);
};

constexpr attack attacks[] = {
  {"lengths", send_bad_lengths},
  {"extra-pages", claim_extra_pages},
  {"flips", flip_contents},
  {"storm", storm},
  {"states", write_impossible_states},
  {"grants", offer_wrong_grants},
  {"leaps", leap_through_states},
};

/// Misbehaves, and afterwards has to be served like anybody.
int run_attack(const char* name) {
  for (const auto& [known, run] : attacks) {
    if (std::strcmp(known, name) != 0)
      continue;
    {
      raw_ring ring{0};
      if (!ring.connect() || !is_served(ring))
        give_up("it is not served before it begins");
      run(ring);
      ring.close();
    }
    raw_ring again{0};
    if (!again.connect() || !is_served(again))
      give_up("it is not served afterwards");
    again.close();
    std::printf("attack survived\n");
    return 0;
  }
  give_up("there is no attack " + std::string{name});
}

int run_exec(int count, char** arguments, bool crashes) {
  raw_ring ring{static_cast<unsigned>(std::atoi(arguments[0]))};
  if (!ring.connect()) {
    std::printf("not connected\n");
    return 1;
  }
  const auto locality = static_cast<std::uint8_t>(std::atoi(arguments[1]));
  for (auto i = 2; i < count; ++i) {
    const auto response = ring.transact(locality, from_hex(arguments[i]));
    std::printf("%s\n", response ? to_hex(*response).c_str() : "no answer");
  }
  if (!crashes)
    ring.close();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const auto crashes = argc >= 5 && std::strcmp(argv[1], "crash") == 0;
  if (crashes || (argc >= 5 && std::strcmp(argv[1], "exec") == 0))
    return run_exec(argc - 2, argv + 2, crashes);
  if (argc == 2)
    return run_attack(argv[1]);
  std::fprintf(stderr,
               "usage: raw-front exec|crash HANDLE LOCALITY HEX... | "
               "ATTACK\n");
  return 2;
}
