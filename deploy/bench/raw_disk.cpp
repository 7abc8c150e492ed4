#include "deploy/bench/raw_disk.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include <unistd.h>

#include "deploy/bench/statistics.hpp"
#include "tpm/crypto/random.hpp"

namespace vtpm::deploy {

result<raw_disk> raw_disk::make(const std::string& path, std::size_t size) {
  auto file = tpm::block_file::create(path);
  if (!file)
    return problem{file.error().detail};
  auto data = tpm::aligned_buffer{(*file)->alignment(), size};
  // As little to compress as in a ciphertext.
  tpm::fill_random(data.span());
  return raw_disk{std::move(*file), std::move(data)};
}

result<double> raw_disk::time_writes(std::size_t count) {
  using clock = std::chrono::steady_clock;
  std::vector<double> samples;
  const auto octets = data_.span();
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = static_cast<off_t>(i % 2 * tpm::slot_size);
    octets[0] = static_cast<std::uint8_t>(i);
    const auto begin = clock::now();
    const auto written
      = ::pwrite(file_->descriptor(), octets.data(), octets.size(), offset);
    const auto taken = clock::now() - begin;
    if (written != static_cast<ssize_t>(octets.size()))
      return problem{std::string{"cannot write to the disk: "}
                     + std::strerror(errno)};
    samples.push_back(std::chrono::duration<double, std::micro>{taken}.count());
  }
  return median(std::move(samples));
}

} // namespace vtpm::deploy
