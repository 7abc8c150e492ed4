#include "deploy/vtpmd/domain.hpp"

#include <cstdlib>
#include <future>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/key_authority.hpp"
#include "actors/persistence.hpp"
#include "actors/platform_codec.hpp"
#include "actors/reactor.hpp"
#include "actors/response.hpp"
#include "actors/shutdown_watch.hpp"
#include "actors/stats.hpp"
#include "actors/supervisor.hpp"
#include "actors/tpm.hpp"
#include "deploy/vtpmd/control.hpp"
#include "deploy/vtpmd/control_socket.hpp"
#include "deploy/vtpmd/foundation.hpp"
#include "deploy/vtpmd/holding_committer.hpp"
#include "deploy/vtpmd/notify.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "protocol/log.hpp"
#include "xenio/loopback/hub.hpp"
#include "xenio/xen/open.hpp"

namespace vtpm::deploy {

namespace {

using namespace actors;

/// Opens what lies between us and the frontends.
xenio::result<std::unique_ptr<xenio::hypervisor>> open_hypervisor(
  reactor& loop, const options& given) {
  using hypervisor_ptr = std::unique_ptr<xenio::hypervisor>;
  if (given.xen) {
    // The libraries have no call for a peer's label.
    log().info("frontends are known by domid, handle and uuid; security labels "
               "(XSM/FLASK) are not read, and no rule can name one");
    return xenio::xen::open(loop);
  }
  auto hub
    = xenio::loopback::hub::listen(loop, given.listen_path, given.claims);
  if (!hub)
    return hub.error();
  return hypervisor_ptr{std::move(*hub)};
}

int exit_code_for(shutdown_order order) noexcept {
  switch (order) {
    case shutdown_order::poweroff:
      return daemon_exit::poweroff;
    case shutdown_order::reboot:
      return daemon_exit::reboot;
    case shutdown_order::halt:
      return daemon_exit::halt;
  }
  return exit_code::failure;
}

caf::actor_system_config& configure(caf::actor_system_config& config) {
  config.load<reactor>();
  config.set("scheduler.max-throughput", std::size_t{64});
  return config;
}

} // namespace

/// Everything here is used on the loop's thread, but for construction and
/// destruction.
struct domain::impl {
  impl() : system(configure(config)), loop(reactor::of(system)) {
    // nop
  }

  ~impl();

  basic_result<unit, start_problem> listen(const options& given);
  void spawn_core(foundation& parts, const options& given);
  void serve(const options& given);
  void guard();
  void signalled();
  void shut_down(int code);
  void end_as(deploy::ending how);
  void abandon();
  void end(int code);

  caf::actor_system_config config;
  caf::actor_system system;
  reactor& loop;
  std::unique_ptr<tpm::block_file> device;
  std::shared_ptr<tpm::shadow> shadow;
  platform_memory remembered;
  int committer_descriptor = -1;
  tpm_version version = tpm_version::v2_0;
  tpm::startup startup = tpm::startup::none;
  service_notifier notifier = service_notifier::from_environment();

  key_authority_actor authority;
  persistence_actor store;
  response_actor gate;
  tpm_actor executor;
  stats_actor counters;
  control_actor operations;
  supervisor_actor frontends;
  caf::actor guardian;

  std::unique_ptr<xenio::hypervisor> hypervisor;
  std::unique_ptr<control_socket> socket;
  std::unique_ptr<termination_signals> signals;
  std::unique_ptr<shutdown_watch> orders;
  bool was_signalled = false;
  bool draining = false;
  bool over = false;
  /// For when the drain has gone well.
  int drained_code = exit_code::success;

  std::promise<int> ended;
};

domain::impl::~impl() {
  // Top down: whoever hands out work goes before whoever does it. What the
  // loop's thread owns is let go of there.
  loop.call([this] {
    orders.reset();
    signals.reset();
    socket.reset();
    if (committer_descriptor >= 0)
      loop.unwatch(committer_descriptor);
  });
  auto exit = [](auto& actor) {
    if (actor)
      caf::anon_send_exit(std::exchange(actor, {}),
                          caf::exit_reason::user_shutdown);
  };
  exit(guardian);
  exit(frontends);
  exit(operations);
  exit(counters);
  exit(executor);
  exit(gate);
  exit(store);
  exit(authority);
  system.await_all_actors_done();
  loop.call([this] { hypervisor.reset(); });
}

/// Opens the hypervisor and binds the sockets: what can still go wrong for
/// reasons of the world.
basic_result<unit, start_problem> domain::impl::listen(const options& given) {
  auto opened = open_hypervisor(loop, given);
  if (!opened)
    return start_problem{exit_code::failure, opened.error().detail};
  hypervisor = std::move(*opened);
  auto bound = control_socket::listen(
    loop, given.control_path,
    [this](std::string text, control_socket::responder answer) {
      system.spawn([this, text = std::move(text),
                    answer = std::move(answer)](caf::event_based_actor* self) {
        self
          ->request(operations, caf::infinite, control_atom_v,
                    control_caller::operating, text)
          .then([answer](std::string& reply) { answer(std::move(reply)); });
      });
    });
  if (!bound)
    return start_problem{exit_code::failure, bound.error().text};
  socket = std::move(*bound);
  auto watched = termination_signals::watch(loop, [this](int) { signalled(); });
  if (!watched)
    return start_problem{exit_code::failure, watched.error().text};
  signals = std::move(*watched);
  return unit{};
}

/// Everything but the frontends.
void domain::impl::spawn_core(foundation& parts, const options& given) {
  const auto status = parts.store->status();
  version = status.version;
  startup = parts.startup;
  const auto known = parts.store->latest();
  shadow = parts.tpm.shadow;
  remembered
    = decode_platform_memory(parts.tpm.platform).value_or(platform_memory{});
  device = std::move(parts.device);
  committer_descriptor = parts.committer->descriptor();
  retry_policy retries;
  retries.limit = given.commit_retry_limit;
  authority = system.spawn(local_authority);
  if (given.poll.count() > 0) {
    loop.spin_for(given.poll);
    parts.committer
      = std::make_unique<holding_committer>(std::move(parts.committer), loop);
  }
  store = system.spawn(persistence, std::move(parts.store),
                       std::move(parts.committer), authority, retries);
  loop.watch(committer_descriptor,
             [this] { loop.tell(store, written_atom_v); });
  gate = system.spawn(response, store, known);
  executor
    = system.spawn(tpm_executor,
                   tpm_parts{std::move(parts.tpm.engine), parts.tpm.gen,
                             std::move(parts.tpm.changed), parts.tpm.shadow},
                   gate, std::shared_ptr{make_thread_worker()});
  caf::anon_send(store, watch_atom_v, executor);
  counters = system.spawn(stats, executor, store);
  operations = system.spawn(
    control,
    control_parts{
      counters, executor, store, parts.startup,
      [this](deploy::ending how) { loop.defer([this, how] { end_as(how); }); },
      [this] { loop.tell(frontends, keep_atom_v); }});
}

/// Frontends are found and served from now on.
void domain::impl::serve(const options& given) {
  auto watch = [this](const char* name, metered_actor who) {
    caf::anon_send(counters, watch_atom_v, std::string{name}, std::move(who));
  };
  auto parts = supervisor_parts{&hypervisor->store(),
                                &hypervisor->grants(),
                                &hypervisor->events(),
                                version,
                                given.localities,
                                executor,
                                operations,
                                counters,
                                given.poll.count() > 0 ? &loop : nullptr,
                                given.primary};
  parts.startup = startup;
  parts.shadow = shadow;
  parts.is_awaited = given.xen;
  parts.memory = remembered;
  parts.remember = [this](const platform_memory& memory) {
    if (shadow != nullptr)
      shadow->remember(encode(memory));
  };
  parts.unused_limit = given.exit_when_unused;
  parts.on_unused
    = [this] { loop.defer([this] { shut_down(exit_code::success); }); };
  frontends = system.spawn(supervisor, std::move(parts));
  watch("tpm", executor);
  watch("response", gate);
  watch("persistence", store);
  watch("key_authority", authority);
  watch("supervisor", frontends);
  watch("stats", counters);
  watch("control", operations);
  caf::anon_send(counters, watch_atom_v, frontends);
  guard();
  orders = std::make_unique<shutdown_watch>(
    hypervisor->store(),
    [this](shutdown_order order) { shut_down(exit_code_for(order)); });
  notifier.ready();
  log().info("listening for frontends at {}, for vtpmctl at {}",
             given.xen ? "backend/vtpm in XenStore" : given.listen_path,
             given.control_path);
}

/// None of these ends before we end it, but by a bug; then guests would wait
/// for ever. Better to end at once and be started again from what is stored.
void domain::impl::guard() {
  guardian = system.spawn([this](caf::event_based_actor* self) {
    for (const auto& address :
         {executor.address(), gate.address(), store.address(),
          authority.address(), frontends.address(), counters.address(),
          operations.address()})
      self->monitor(address);
    self->set_down_handler([](const caf::down_msg& down) {
      log().critical("an actor has failed, which is a bug: {}",
                     explain(down.reason));
      std::abort();
    });
    return caf::behavior{[](notify_atom) {}};
  });
}

/// Lets `wait` return.
void domain::impl::end(int code) {
  if (!std::exchange(over, true))
    ended.set_value(code);
}

/// The first signal drains. The second ends at once: what was acknowledged is
/// stored all the same.
void domain::impl::signalled() {
  if (std::exchange(was_signalled, true)) {
    log().warn("told to end a second time: not waiting for the drain");
    end(exit_code::failure);
    return;
  }
  shut_down(exit_code::success);
}

/// Drains, then ends with `code`. Asked again, goes on draining: a domain that
/// is told to power off hears it from its toolstack and from its init.
void domain::impl::shut_down(int code) {
  if (code != exit_code::success)
    drained_code = code;
  if (std::exchange(draining, true))
    return;
  log().info("draining");
  notifier.stopping();
  caf::anon_send(store, drain_atom_v);
  system.spawn([this](caf::event_based_actor* self) {
    self->request(frontends, caf::infinite, drain_atom_v)
      .then(
        [this](done_atom) {
          log().info("drained: all that was acknowledged is stored");
          end(drained_code);
        },
        [this](const caf::error& reason) {
          log().error("drained, but the newest state is not stored: {}",
                      explain(reason));
          if (shadow != nullptr && shadow->works())
            log().error("it is in the shadow: the next start of vtpmd in this "
                        "boot stores it");
          end(exit_code::failure);
        });
  });
}

void domain::impl::end_as(deploy::ending how) {
  switch (how) {
    case deploy::ending::stop:
      shut_down(exit_code::success);
      return;
    case deploy::ending::restart:
      shut_down(daemon_exit::restart);
      return;
    case deploy::ending::abandon:
      abandon();
      return;
  }
}

/// Whatever is not stored is given up, the TPM's memory with it. The next start
/// finds what is stored and nothing else, so the TPM is reset.
void domain::impl::abandon() {
  log().warn("what is not stored is abandoned, the operator says");
  notifier.stopping();
  if (shadow != nullptr)
    shadow->discard();
  end(daemon_exit::restart);
}

domain::domain(std::unique_ptr<impl> state) noexcept : impl_(std::move(state)) {
  // nop
}

domain::~domain() = default;

basic_result<std::unique_ptr<domain>, start_problem> domain::start(
  const options& given) {
  auto parts = lay_foundation(given);
  if (!parts)
    return parts.error();
  auto state = std::make_unique<impl>();
  // In one go, so that nobody is served by half a domain. The sockets first:
  // whether they can be had is the last thing that may fail.
  auto begin = [&]() -> basic_result<unit, start_problem> {
    if (auto listening = state->listen(given); !listening)
      return listening.error();
    state->spawn_core(*parts, given);
    state->serve(given);
    return unit{};
  };
  if (auto begun = state->loop.call(begin); !begun)
    return begun.error();
  return std::unique_ptr<domain>{new domain{std::move(state)}};
}

int domain::wait() {
  return impl_->ended.get_future().get();
}

} // namespace vtpm::deploy
