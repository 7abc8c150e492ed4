#include "deploy/bench/rounds.hpp"

namespace vtpm::deploy {

std::vector<std::size_t> order_in_round(std::size_t round, std::size_t count) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < count; ++i)
    order.push_back((round + i) % count);
  return order;
}

result<std::vector<std::vector<double>>> measure_in_turn(
  std::size_t rounds, const std::vector<measurement>& contestants) {
  std::vector<std::vector<double>> figures(contestants.size());
  for (std::size_t round = 0; round < rounds; ++round)
    for (const auto which : order_in_round(round, contestants.size())) {
      const auto figure = contestants[which]();
      if (!figure)
        return figure.error();
      figures[which].push_back(*figure);
    }
  return figures;
}

} // namespace vtpm::deploy
