#include "xenio/ring_frontend.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "xenio/guest_side.hpp"

namespace vtpm::xenio {

std::chrono::milliseconds ring_frontend::left_until(
  clock::time_point deadline) {
  using std::chrono::milliseconds;
  return std::max(milliseconds{0},
                  std::chrono::ceil<milliseconds>(deadline - clock::now()));
}

result<std::optional<frontend::completion>> ring_frontend::look() const {
  if (!is_free(page()))
    return std::optional<completion>{};
  if (page().load_state()
      != static_cast<std::uint8_t>(protocol::page_state::finish))
    return std::optional{completion{false, {}}};
  auto response = collect_response(page());
  if (!response)
    return response.error();
  return std::optional{completion{true, *std::move(response)}};
}

result<byte_vector> ring_frontend::transact(std::uint8_t locality,
                                            byte_view request,
                                            std::chrono::milliseconds limit) {
  const auto deadline = clock::now() + limit;
  // A request that was given up before may still be under way.
  if (auto free = await_free_page(deadline); !free)
    return free.error();
  if (auto submitted = submit(locality, request);
      !submitted && submitted.error().code != errc::gone)
    return submitted.error();
  if (auto answered = await_free_page(deadline); !answered) {
    cancel();
    return answered.error();
  }
  auto found = look();
  if (!found)
    return found.error();
  if (!*found || !(*found)->finished)
    return error{errc::cancelled, "the backend gave the request back"};
  return std::move((*found)->response);
}

result<unit> ring_frontend::submit(std::uint8_t locality, byte_view request) {
  if (!is_free(page()))
    return error{errc::protocol, "a request is under way"};
  if (!place_request(page(), locality, request))
    return error{errc::protocol,
                 "a request of " + std::to_string(request.size())
                   + " octets does not fit into the page"};
  if (!ring_doorbell())
    return error{errc::gone, "vtpmd is gone; the request stays in the page"};
  return unit{};
}

void ring_frontend::cancel() noexcept {
  page().store_state(protocol::page_state::cancel);
  ring_doorbell();
}

} // namespace vtpm::xenio
