#pragma once

#include <memory>
#include <utility>

#include "actors/reactor.hpp"
#include "tpm/committer.hpp"

namespace vtpm::deploy {

/// Keeps the reactor from polling while a write is under way: the kernel may
/// finish it on the very CPU that the reactor would keep busy.
class holding_committer final : public tpm::committer {
public:
  holding_committer(std::unique_ptr<tpm::committer> inner,
                    actors::reactor& loop) noexcept
    : inner_(std::move(inner)), loop_(loop) {
    // nop
  }

  void start(std::uint64_t offset, byte_view data) override {
    loop_.hold_spin();
    inner_->start(offset, data);
  }

  int descriptor() const noexcept override {
    return inner_->descriptor();
  }

  std::optional<tpm::result<unit>> finish() override {
    auto ended = inner_->finish();
    if (ended)
      loop_.release_spin();
    return ended;
  }

  const char* name() const noexcept override {
    return inner_->name();
  }

private:
  std::unique_ptr<tpm::committer> inner_;
  actors::reactor& loop_;
};

} // namespace vtpm::deploy
