// Goal: whatever is left when the loop stops is destroyed, on the right thread,
// exactly once, and nobody waits for ever.
// Method: tokens in everything that can be left; all must be back afterwards.
// Address sanitizer's leak check does the rest.

#include "actors/reactor.hpp"

#include <future>
#include <memory>
#include <optional>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>

#include "tests/actors/reactor_fixture.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

namespace {

using token = std::shared_ptr<int>;

/// Notes in the end whether it ends on the loop's thread.
struct witness {
  witness(reactor& where, std::optional<bool>& what)
    : loop(where), on_loop(what) {
    // nop
  }

  witness(const witness&) = delete;
  witness& operator=(const witness&) = delete;

  ~witness() {
    on_loop = loop.on_loop_thread();
  }

  reactor& loop;
  std::optional<bool>& on_loop;
};

using witness_ptr = std::shared_ptr<witness>;

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(token)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(witness_ptr)

TEST_SUITE("actors/reactor_stop") {
  TEST_CASE("an actor may exit with mail waiting") {
    std::atomic<int> destroyed = 0;
    {
      reactor_fixture world;
      const auto whom = world.spawn_counter(&destroyed);
      for (auto i = 0; i < 1000; ++i)
        caf::anon_send(whom, count_atom_v);
    }
    CHECK(destroyed == 1);
  }

  TEST_CASE("an urgent exit leaves its mail undelivered") {
    const auto left = std::make_shared<int>();
    {
      reactor_fixture world;
      const auto whom
        = world.system.spawn([](caf::event_based_actor*) -> caf::behavior {
            return {[](token&) {}};
          });
      world.loop.call([&] {
        for (auto i = 0; i < 100; ++i)
          world.loop.tell(whom, left);
        caf::anon_send<caf::message_priority::high>(
          whom, caf::exit_msg{whom.address(), caf::exit_reason::kill});
      });
    }
    CHECK(left.use_count() == 1);
  }

  TEST_CASE("a system that awaits nobody ends all the same") {
    const auto left = std::make_shared<int>();
    {
      caf::actor_system_config config;
      caf::actor_system system{with_reactor(config)};
      system.await_actors_before_shutdown(false);
      const auto whom
        = system.spawn([](caf::event_based_actor*) -> caf::behavior {
            return {[](token&) {}};
          });
      caf::delayed_anon_send(whom, std::chrono::seconds{3600}, left);
      for (auto i = 0; i < 100; ++i)
        caf::anon_send(whom, left);
    }
    CHECK(left.use_count() == 1);
  }

  TEST_CASE("actors that keep each other busy do not delay the stop") {
    caf::actor_system_config config;
    caf::actor_system system{with_reactor(config)};
    system.await_actors_before_shutdown(false);
    for (auto i = 0; i < 10; ++i)
      system.spawn([](caf::event_based_actor* me) -> caf::behavior {
        me->send(me, count_atom_v);
        return {[me](count_atom) { me->send(me, count_atom_v); }};
      });
  }

  TEST_CASE("timers of an hour end with the loop, on its thread") {
    std::optional<bool> timer;
    {
      reactor_fixture world;
      caf::delayed_anon_send(world.spawn_counter(), std::chrono::seconds{3600},
                             std::make_shared<witness>(world.loop, timer));
      world.settle();
      CHECK_FALSE(timer);
    }
    CHECK(timer == true);
  }

  TEST_CASE("handlers end with the loop, on its thread") {
    doorbell bell;
    std::optional<bool> handler;
    std::optional<bool> poll;
    {
      reactor_fixture world;
      auto& loop = world.loop;
      loop.watch(bell.fd, [held = std::make_shared<witness>(loop, handler)] {});
      loop.call([&] {
        loop.watch_memory([held = std::make_shared<witness>(loop, poll)] {
          return held == nullptr;
        });
      });
    }
    CHECK(handler == true);
    CHECK(poll == true);
  }

  TEST_CASE("a handler that ends with the loop may unwatch") {
    struct guard {
      ~guard() {
        loop.unwatch(own);
        loop.unwatch(other);
      }

      reactor& loop;
      int own;
      int other;
    };
    doorbell one;
    doorbell two;
    const auto left = std::make_shared<int>();
    {
      reactor_fixture world;
      auto& loop = world.loop;
      loop.call([&] {
        const auto both = [&](int own, int other) {
          loop.watch(
            own,
            [left, held = std::make_shared<guard>(guard{loop, own, other})] {});
        };
        both(one.fd, two.fd);
        both(two.fd, one.fd);
      });
    }
    CHECK(left.use_count() == 1);
  }

  TEST_CASE("what an actor leaves behind may unwatch when all is over") {
    // Nobody awaits the actor, so it ends after the loop.
    struct state {
      ~state() {
        if (loop != nullptr)
          loop->unwatch(fd);
      }

      reactor* loop = nullptr;
      int fd = -1;
    };
    doorbell bell;
    caf::actor_system_config config;
    caf::actor_system system{with_reactor(config)};
    system.await_actors_before_shutdown(false);
    auto& loop = reactor::of(system);
    loop.watch(bell.fd, [] {});
    const auto whom
      = system.spawn([&](caf::event_based_actor*) -> caf::behavior {
          auto held = std::make_shared<state>();
          held->loop = &loop;
          held->fd = bell.fd;
          return {[held](count_atom) {}};
        });
    caf::anon_send(whom, count_atom_v);
  }

  TEST_CASE("every job runs or is destroyed") {
    for (auto round = 0; round < 20; ++round) {
      const auto left = std::make_shared<int>();
      auto runs = std::make_shared<int>();
      {
        reactor_fixture world;
        for (auto i = 0; i < 500; ++i)
          world.loop.defer([left, runs, &loop = world.loop] {
            ++*runs;
            loop.defer([left] {});
          });
      }
      CHECK(*runs <= 500);
      CHECK(left.use_count() == 1);
    }
  }

  TEST_CASE("one reactor after another may have the same descriptors") {
    doorbell bell;
    for (auto i = 0; i < 3; ++i) {
      reactor_fixture world;
      std::promise<void> heard;
      world.loop.watch(bell.fd, [&] {
        bell.silence();
        heard.set_value();
      });
      bell.ring();
      heard.get_future().wait();
    }
  }
}
