#include "tpm/block_file.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/log.hpp"
#include "tpm/aligned_buffer.hpp"

namespace vtpm::tpm {

namespace {

constexpr std::uint64_t state_size = 2 * slot_size;

/// What every disk of the last decade takes, and the page size.
constexpr std::size_t default_alignment = 4096;

/// BLKSSZGET says 512 at least; so does this.
constexpr std::size_t alignment_min = 512;

error unusable(const std::string& path, const std::string& why) {
  return {errc::unusable, path + " cannot hold a state: " + why};
}

/// Opens with O_DIRECT, or without where the filesystem refuses that.
result<block_file::opened_file> open_for_io(const std::string& path,
                                            int flags) {
  flags |= O_CLOEXEC | O_NOCTTY;
  auto file = owned_descriptor{::open(path.c_str(), flags | O_DIRECT)};
  if (file)
    return block_file::opened_file{std::move(file), true};
  if (errno == EINVAL)
    file = owned_descriptor{::open(path.c_str(), flags)};
  if (file)
    return block_file::opened_file{std::move(file), false};
  if (errno == EBUSY)
    return error{errc::locked, path + " is in use"};
  return io_error("cannot open " + path, errno);
}

/// Returns whether it is a block device and not a regular file.
result<bool> is_block_device(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return error{errc::not_found, "there is no " + path};
    return io_error("cannot examine " + path, errno);
  }
  if (!S_ISBLK(info.st_mode) && !S_ISREG(info.st_mode))
    return unusable(path, "neither a regular file nor a block device");
  return S_ISBLK(info.st_mode);
}

/// Returns whether another process has the lock.
result<bool> is_locked(int descriptor, const std::string& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor, F_OFD_GETLK, &whole) != 0)
    return io_error("cannot ask for the lock of " + path, errno);
  return whole.l_type != F_UNLCK;
}

/// Returns whether another process has claimed the block device. There is no
/// way to ask but to claim it for an instant.
result<bool> is_claimed(const std::string& path) {
  const auto probe
    = owned_descriptor{::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC)};
  if (!probe && errno != EBUSY)
    return io_error("cannot open " + path, errno);
  return !probe;
}

/// Refuses files that cannot be trusted to stay as we leave them.
result<unit> check_file(const struct stat& info, const std::string& path) {
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return unusable(path, "it belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return unusable(path, "others may write it, make it 0600");
  if (info.st_size < static_cast<off_t>(state_size))
    return unusable(path,
                    "it has " + std::to_string(info.st_size) + " octets, "
                      + std::to_string(state_size) + " are needed");
  return unit{};
}

result<unit> check_device(int descriptor, const std::string& path) {
  auto size = std::uint64_t{0};
  if (::ioctl(descriptor, BLKGETSIZE64, &size) != 0)
    return io_error("cannot ask for the size of " + path, errno);
  if (size < state_size)
    return unusable(path,
                    "it has " + std::to_string(size) + " octets, "
                      + std::to_string(state_size) + " are needed");
  return unit{};
}

/// Returns what direct I/O asks for, or nullopt where there is none after all.
std::optional<std::size_t> direct_alignment(int descriptor, bool is_block) {
  struct statx info {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0
      && (info.stx_mask & STATX_DIOALIGN) != 0) {
    if (info.stx_dio_offset_align == 0)
      return std::nullopt;
    return std::max<std::size_t>(
      {info.stx_dio_mem_align, info.stx_dio_offset_align, alignment_min});
  }
  auto logical = 0;
  if (is_block && ::ioctl(descriptor, BLKSSZGET, &logical) == 0)
    return std::max(static_cast<std::size_t>(logical), alignment_min);
  return default_alignment;
}

/// Goes on without O_DIRECT. Changing the flag keeps the lock and the claim.
result<unit> leave_direct(block_file::opened_file& opened,
                          const std::string& path) {
  const auto flags = ::fcntl(opened.file.get(), F_GETFL);
  if (flags < 0 || ::fcntl(opened.file.get(), F_SETFL, flags & ~O_DIRECT) != 0)
    return io_error("cannot turn direct I/O off for " + path, errno);
  opened.direct = false;
  return unit{};
}

/// Returns whether all of the state is zeros.
result<bool> is_blank(block_file& file) {
  auto buffer = aligned_buffer{file.alignment(), slot_size};
  for (std::uint64_t offset = 0; offset < state_size; offset += slot_size) {
    auto done = file.read(offset, buffer.span());
    if (!done)
      return done.error();
    const auto octets = buffer.span();
    if (std::any_of(octets.begin(), octets.end(),
                    [](std::uint8_t octet) { return octet != 0; }))
      return false;
  }
  return true;
}

/// Writes zeros rather than allocating: a block that has been written once
/// needs no metadata when it is written again, so a commit syncs data only.
result<unit> make_blank(const std::string& path) {
  auto file = unpublished_file::make(path);
  if (!file)
    return file.error();
  const auto zeros = byte_vector(state_size);
  auto written
    = write_all(file->descriptor(), zeros.data(), zeros.size(), path);
  if (!written)
    return written.error();
  return file->publish();
}

} // namespace

block_file::block_file(std::string path, owned_descriptor file,
                       std::size_t alignment, bool direct) noexcept
  : path_(std::move(path)),
    file_(std::move(file)),
    alignment_(alignment),
    direct_(direct) {
  // nop
}

result<std::unique_ptr<block_file>> block_file::open(const std::string& path) {
  const auto is_block = is_block_device(path);
  if (!is_block)
    return is_block.error();
  // O_EXCL without O_CREAT claims a block device: no mount, no second opener.
  const auto flags = O_RDWR | O_DSYNC | (*is_block ? O_EXCL : 0);
  auto opened = wait_while_locked([&] { return open_for_io(path, flags); });
  if (!opened)
    return opened.error();
  auto locked
    = *is_block ? result<unit>{unit{}} : lock_file(opened->file.get(), path);
  if (!locked)
    return locked.error();
  auto file = make(path, *std::move(opened), *is_block);
  if (file && !(*file)->direct())
    log().warn("{}: no direct I/O here, going on with O_DSYNC alone", path);
  return file;
}

result<block_file::inspected> block_file::inspect(const std::string& path) {
  const auto is_block = is_block_device(path);
  if (!is_block)
    return is_block.error();
  auto opened = open_for_io(path, O_RDONLY);
  if (!opened)
    return opened.error();
  auto in_use
    = *is_block ? is_claimed(path) : is_locked(opened->file.get(), path);
  if (!in_use)
    return in_use.error();
  auto file = make(path, *std::move(opened), *is_block);
  if (!file)
    return file.error();
  return inspected{*std::move(file), *in_use};
}

/// Checks what was opened, and how I/O on it must be aligned.
result<std::unique_ptr<block_file>> block_file::make(const std::string& path,
                                                     opened_file opened,
                                                     bool is_block) {
  const auto descriptor = opened.file.get();
  struct stat info {};
  if (::fstat(descriptor, &info) != 0)
    return io_error("cannot examine " + path, errno);
  // Removed while we waited for its lock, it would take our writes and nobody
  // would find them.
  if (S_ISBLK(info.st_mode) != is_block || info.st_nlink == 0)
    return unusable(path, "it was replaced meanwhile");
  auto ok = is_block ? check_device(descriptor, path) : check_file(info, path);
  if (!ok)
    return ok.error();
  auto alignment
    = opened.direct ? direct_alignment(descriptor, is_block) : std::nullopt;
  if (opened.direct && !alignment) {
    ok = leave_direct(opened, path);
    if (!ok)
      return ok.error();
  }
  return std::unique_ptr<block_file>{
    new block_file(path, std::move(opened.file),
                   alignment.value_or(default_alignment), opened.direct)};
}

result<std::unique_ptr<block_file>> block_file::create(
  const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT)
      return io_error("cannot examine " + path, errno);
    auto made = make_blank(path);
    if (!made)
      return made.error();
    return open(path);
  }
  if (S_ISBLK(info.st_mode))
    return open(path);
  auto file = open(path);
  if (!file && file.error().code == errc::locked)
    return file.error();
  if (file) {
    auto blank = is_blank(**file);
    if (!blank)
      return blank.error();
    if (*blank)
      return file;
  }
  return error{errc::exists, path + " exists already"};
}

result<unit> block_file::read(std::uint64_t offset,
                              std::span<std::uint8_t> target) {
  while (!target.empty()) {
    const auto got = ::pread(file_.get(), target.data(), target.size(),
                             static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return io_error("cannot read " + path_, got < 0 ? errno : EIO);
    target = target.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return unit{};
}

result<unit> block_file::sync() {
  if (::fdatasync(file_.get()) != 0)
    return io_error("cannot sync " + path_, errno);
  return unit{};
}

} // namespace vtpm::tpm
