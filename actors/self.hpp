#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/interfaces.hpp"
#include "actors/metered.hpp"

namespace vtpm::actors {

/// What the function of an actor with interface `Actor` and state `State` sees
/// of itself.
template <class State, class Actor>
using self_pointer = caf::stateful_actor<State, metered<typename Actor::base>>*;

} // namespace vtpm::actors
