#include "actors/ring.hpp"

#include <cassert>
#include <utility>

#include "actors/leftover.hpp"
#include "protocol/admin.hpp"
#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "protocol/log.hpp"
#include "protocol/ordinal.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::actors {

namespace {

using self_type = self_pointer<ring_state, ring_actor>;
using protocol::page_state;
using protocol::refusal;
using tpm::delivery;

void log_refusal(self_type self, const std::string& what) {
  auto& state = self->state;
  if (state.refusals.admit(self->clock().now()))
    log().warn("frontend {}: {}{}", to_string(state.parts.id), what,
               state.refusals.remark());
}

void log_command(const ring_state& state, std::uint32_t result,
                 std::uint64_t nanoseconds) {
  const auto& current = *state.current;
  log().debug(
    "frontend {}: {} locality {} result {:#x} {:.1f} us",
    to_string(state.parts.id),
    protocol::attributes_of(state.parts.version, current.ordinal).name,
    current.locality, result, static_cast<double>(nanoseconds) / 1000);
}

/// Tells the poller whether a SUBMIT in the page is news.
void set_busy(ring_state& state, bool value) {
  if (state.parts.polled != nullptr)
    state.parts.polled->set_busy(value);
}

/// Nothing is under way any more: a drain that waited for this ends.
void settle(ring_state& state) {
  state.current.reset();
  set_busy(state, false);
  if (state.draining && state.drained.pending())
    std::exchange(state.drained, {}).deliver(done_atom_v);
}

void mark(ring_state& state, delivery how_far) {
  if (state.parts.shadow != nullptr)
    state.parts.shadow->mark(key_of(state.parts.id), how_far);
}

/// Copies a response to the guest and tells it; the shadow knows of each step.
void deliver(ring_state& state, byte_view octets) {
  auto& parts = state.parts;
  mark(state, delivery::copying);
  [[maybe_unused]] const auto copied
    = parts.page->copy_out(state.current->packet_offset, octets);
  assert(copied);
  parts.page->store_length(static_cast<std::uint32_t>(octets.size()));
  mark(state, delivery::copied);
  parts.page->store_state(page_state::finish);
  parts.bell->ring();
}

/// Puts a response into the page.
/// @param recorded The shadow has it on record.
void finish(self_type self, byte_view octets, bool recorded) {
  auto& state = self->state;
  auto& parts = state.parts;
  auto& counters = state.counters;
  const auto& current = *state.current;
  protocol::error_packet too_large;
  if (octets.size() > current.packet_size_max) {
    log_refusal(self, "a response does not fit beside its extra pages");
    too_large = protocol::error_response(parts.version, refusal::failure);
    octets = too_large;
    recorded = false;
  }
  if (parts.shadow != nullptr && !recorded)
    parts.shadow->record({key_of(parts.id), current.print, octets});
  deliver(state, octets);
  const auto elapsed = std::chrono::steady_clock::now() - current.taken;
  const auto nanoseconds
    = static_cast<std::uint64_t>(std::chrono::nanoseconds{elapsed}.count());
  const auto result = protocol::load_be<std::uint32_t>(octets.data() + 6);
  counters.latency.record(nanoseconds);
  counters.bytes_out += octets.size();
  if (result != protocol::tpm_success)
    ++counters.errors;
  if (log().should_log(spdlog::level::debug))
    log_command(state, result, nanoseconds);
  settle(state);
}

void refuse(self_type self, refusal reason) {
  finish(self, protocol::error_response(self->state.parts.version, reason),
         false);
}

void answer_idle(ring_state& state) {
  state.parts.page->store_state(page_state::idle);
  state.parts.bell->ring();
}

/// The TPM has no response: says so to the guest, in the page's own terms.
void fail(self_type self, const caf::error& reason) {
  auto& state = self->state;
  if (reason == domain_errc::cancelled) {
    answer_idle(state);
    settle(state);
  } else if (reason == domain_errc::draining) {
    // Left in the page as it is: whoever maps the page next finds it there.
    settle(state);
  } else {
    refuse(self, refusal::failure);
  }
}

/// Answers one page of a control reply.
void finish_admin(self_type self, std::uint32_t offset) {
  auto& state = self->state;
  finish(self,
         protocol::encode_admin_reply(state.parts.version, state.admin_reply,
                                      offset, state.current->packet_size_max),
         false);
}

void administrate(self_type self, byte_view packet) {
  auto& state = self->state;
  auto request = protocol::decode_admin_request(state.parts.version, packet);
  if (!request) {
    ++state.counters.malformed;
    refuse(self, refusal::bad_parameter);
    return;
  }
  const auto offset = request->offset;
  // A reply longer than a packet is read in steps. All come from the answer to
  // the first, or the steps would not fit together.
  if (offset != 0 && request->text == state.admin_text) {
    finish_admin(self, offset);
    return;
  }
  auto text = std::string{request->text};
  self
    ->request(state.control, caf::infinite, control_atom_v,
              control_caller::ring, text)
    .then(
      [self, offset, text](std::string& reply) {
        self->state.admin_text = text;
        self->state.admin_reply = std::move(reply);
        finish_admin(self, offset);
      },
      [self](const caf::error& reason) { fail(self, reason); });
}

/// Decides by locality who answers: the engine, we, or nobody.
void dispatch(self_type self, byte_vector packet) {
  auto& state = self->state;
  const auto locality = state.current->locality;
  const auto is_admin = protocol::is_admin_command(state.parts.version, packet);
  const auto allowed = state.parts.allowed.contains(locality);
  if (is_admin && locality == protocol::admin_locality && allowed) {
    administrate(self, packet);
    return;
  }
  if (is_admin && allowed) {
    refuse(self, refusal::bad_parameter);
    return;
  }
  if (!allowed || locality > protocol::engine_locality_max) {
    ++state.counters.denied;
    log_refusal(self, "locality " + std::to_string(locality) + " denied");
    refuse(self, refusal::bad_locality);
    return;
  }
  self
    ->request(state.tpm, caf::infinite, execute_atom_v,
              command{state.parts.id, locality, std::move(packet)})
    .then(
      [self](const released_response& released) {
        finish(self, released.octets(), true);
      },
      [self](const caf::error& reason) { fail(self, reason); });
}

void refuse_malformed(self_type self, protocol::errc reason,
                      std::uint32_t length) {
  ++self->state.counters.malformed;
  log_refusal(self,
              std::string{"malformed request of "} + std::to_string(length)
                + " octets: " + protocol::to_string(reason));
  refuse(self, protocol::refusal_for(reason));
}

/// What lies in the page behind its header: one copy. Empty where the length is
/// impossible.
byte_vector copy_packet(const ring_state& state,
                        const protocol::page_header& header) {
  if (header.length > header.packet_size_max())
    return {};
  byte_vector packet(header.length);
  [[maybe_unused]] const auto copied
    = state.parts.page->copy_in(header.packet_offset(), packet);
  assert(copied);
  return packet;
}

/// A request is under way from here on.
void begin(ring_state& state, const protocol::page_header& header,
           byte_view packet) {
  set_busy(state, true);
  state.current
    = request_under_way{header.packet_offset(),
                        header.packet_size_max(),
                        0,
                        header.locality,
                        tpm::print_of(header.length, header.locality, packet),
                        false,
                        std::chrono::steady_clock::now()};
  ++state.counters.commands;
}

/// Takes the request out of the page: one snapshot of the header, one copy of
/// the packet, and the page is not read again.
void take(self_type self) {
  auto& state = self->state;
  const auto header = state.parts.page->load_header();
  if (header.state != static_cast<std::uint8_t>(page_state::submit))
    return; // changed since we looked; the frontend rings again
  const auto length = header.length;
  auto packet = copy_packet(state, header);
  begin(state, header, packet);
  if (length < protocol::tpm_header::encoded_size) {
    refuse_malformed(self, protocol::errc::truncated, length);
    return;
  }
  if (length > header.packet_size_max()) {
    refuse_malformed(self, protocol::errc::oversized, length);
    return;
  }
  state.counters.bytes_in += length;
  const auto decoded
    = protocol::tpm_header::decode_command(state.parts.version, packet);
  if (!decoded) {
    refuse_malformed(self, decoded.error(), length);
    return;
  }
  state.current->ordinal = decoded->code;
  dispatch(self, std::move(packet));
}

/// The first look at a page: an earlier vtpmd may have died over what is in it.
/// Returns whether that is seen to.
bool recover(self_type self) {
  auto& state = self->state;
  auto& parts = state.parts;
  const auto id = key_of(parts.id);
  const auto header = parts.page->load_header();
  const auto seen = static_cast<page_state>(header.state);
  if (seen != page_state::submit && seen != page_state::cancel) {
    // Whatever is on record was for another page, or has arrived.
    mark(state, delivery::copied);
    return false;
  }
  auto answer = parts.shadow->recall(id);
  if (!answer)
    return false;
  const auto packet = copy_packet(state, header);
  switch (what_is_left(*answer, header, packet)) {
    case leftover::everything:
      mark(state, delivery::copied);
      return false;
    case leftover::finish:
      parts.page->store_state(page_state::finish);
      parts.bell->ring();
      return true;
    case leftover::delivery:
      break;
  }
  begin(state, header, packet);
  state.current->print = answer->request;
  // Its answer is certain, so a cancel changes nothing.
  state.current->cancel_sent = true;
  self
    ->request(state.tpm, caf::infinite, recall_atom_v,
              recalled_response{std::move(answer->response)})
    .then(
      [self](const released_response& released) {
        finish(self, released.octets(), true);
      },
      [self](const caf::error& reason) { fail(self, reason); });
  return true;
}

/// The guest has given up. Nothing under way: IDLE. Else the TPM is told once,
/// and its answer decides between IDLE and FINISH.
void cancel(self_type self) {
  auto& state = self->state;
  if (!state.current) {
    ++state.counters.cancels;
    answer_idle(state);
  } else if (!std::exchange(state.current->cancel_sent, true)) {
    ++state.counters.cancels;
    self->send(state.tpm, cancel_atom_v, state.parts.id);
  }
}

/// Doorbells may come late, doubled or for nothing: only the page's state says
/// what there is to do.
void look(self_type self) {
  auto& state = self->state;
  // A drained ring takes no more, and hears of no more.
  set_busy(state, state.current.has_value() || state.draining);
  if (!std::exchange(state.acquainted, true) && state.parts.shadow != nullptr
      && !state.draining && recover(self))
    return;
  const auto seen = state.parts.page->load_state();
  switch (static_cast<page_state>(seen)) {
    case page_state::submit:
      if (!state.current && !state.draining)
        take(self);
      return;
    case page_state::cancel:
      cancel(self);
      return;
    case page_state::idle:
    case page_state::finish:
      return;
  }
  ++state.counters.malformed;
  log_refusal(self, "impossible page state " + std::to_string(seen));
}

} // namespace

ring_state::~ring_state() {
  if (drained.pending())
    drained.deliver(caf::make_error(caf::sec::request_receiver_down));
  if (parts.farewell)
    parts.farewell(counters);
}

ring_actor::behavior_type ring(self_type self, ring_parts parts, tpm_actor tpm,
                               control_actor control) {
  auto& initial = self->state;
  initial.parts = std::move(parts);
  initial.tpm = std::move(tpm);
  initial.control = std::move(control);
  if (initial.parts.shadow != nullptr)
    initial.parts.shadow->attach(key_of(initial.parts.id),
                                 tpm::frontend_uuid_of(initial.parts.uuid));
  return {
    [self](notify_atom) { look(self); },
    [self](drain_atom) -> caf::result<done_atom> {
      auto& state = self->state;
      state.draining = true;
      if (!state.current)
        return done_atom_v;
      state.drained = self->make_response_promise<done_atom>();
      return state.drained;
    },
    [self](report_atom) { return self->state.counters; },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
