#include "xenio/memory_tree.hpp"

#include <algorithm>
#include <utility>

namespace vtpm::xenio {

namespace {

constexpr std::string_view home = "/local/domain/0/";

bool is_path_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
    || (c >= '0' && c <= '9')
    || std::string_view{"-/_@:."}.find(c) != std::string_view::npos;
}

/// Returns the absolute form, or nothing if `path` is not one.
std::optional<std::string> resolve(std::string_view path) {
  if (path.empty() || path.back() == '/'
      || path.find("//") != std::string_view::npos
      || !std::all_of(path.begin(), path.end(), is_path_character))
    return std::nullopt;
  const auto is_relative = path.front() != '/';
  if (path.size() > (is_relative ? memory_tree::relative_path_size_max
                                 : memory_tree::absolute_path_size_max))
    return std::nullopt;
  return is_relative ? std::string{home}.append(path) : std::string{path};
}

/// Returns whether `path` is `top` or below it.
bool covers(std::string_view top, std::string_view path) noexcept {
  return path.starts_with(top)
    && (path.size() == top.size() || path[top.size()] == '/');
}

} // namespace

memory_tree::memory_tree(event_loop& loop) : loop_(loop) {
  // nop
}

void memory_tree::later(std::function<void()> job) {
  loop_.defer([alive = std::weak_ptr{alive_}, job = std::move(job)] {
    if (!alive.expired())
      job();
  });
}

void memory_tree::read(std::vector<std::string> paths,
                       std::function<void(std::vector<value>)> done) {
  std::vector<value> values;
  values.reserve(paths.size());
  for (const auto& path : paths)
    values.push_back(get(path));
  later([done = std::move(done), values = std::move(values)]() mutable {
    done(std::move(values));
  });
}

void memory_tree::list(std::string path,
                       std::function<void(std::vector<std::string>)> done) {
  later([done = std::move(done), names = children(path)]() mutable {
    done(std::move(names));
  });
}

void memory_tree::write(std::string path, std::string text,
                        std::function<void(bool)> done) {
  // Without a slash it is at home, which is always there.
  const auto slash = path.rfind('/');
  const auto above
    = std::string_view{path}.substr(0, slash == path.npos ? 0 : slash);
  const auto worked = (above.empty() || get(above)) && set(path, text);
  if (done)
    later([done = std::move(done), worked] { done(worked); });
}

void memory_tree::remove(std::string path, std::function<void(bool)> done) {
  const auto worked = erase(path);
  if (done)
    later([done = std::move(done), worked] { done(worked); });
}

store::watch_id memory_tree::watch(
  std::string path, std::function<void(const std::string&)> changed) {
  const auto id = next_watch_++;
  const auto is_relative = !path.starts_with('/');
  // A watch on what is no path reports once and never again.
  auto absolute = resolve(path).value_or(
    is_relative ? std::string{home}.append(path) : path);
  auto [entry, is_new] = watchers_.emplace(
    id,
    watcher{std::move(absolute), is_relative,
            std::make_shared<const std::function<void(const std::string&)>>(
              std::move(changed))});
  report(id, entry->second, entry->second.absolute);
  return id;
}

void memory_tree::unwatch(watch_id id) {
  watchers_.erase(id);
}

void memory_tree::report(watch_id id, const watcher& to,
                         const std::string& absolute) {
  later([this, id,
         path = to.is_relative ? absolute.substr(home.size()) : absolute] {
    auto entry = watchers_.find(id);
    if (entry == watchers_.end())
      return;
    // The callback may end its own watch.
    const auto changed = entry->second.changed;
    (*changed)(path);
  });
}

store::value memory_tree::get(std::string_view path) const {
  const auto absolute = resolve(path);
  if (!absolute)
    return std::nullopt;
  auto node = nodes_.find(*absolute);
  return node == nodes_.end() ? std::nullopt : value{node->second};
}

std::vector<std::string> memory_tree::children(std::string_view path) const {
  std::vector<std::string> names;
  const auto absolute = resolve(path);
  if (!absolute)
    return names;
  const auto prefix = *absolute + '/';
  auto node = nodes_.lower_bound(prefix);
  while (node != nodes_.end() && node->first.starts_with(prefix)) {
    const auto rest = std::string_view{node->first}.substr(prefix.size());
    const auto name = rest.substr(0, rest.find('/'));
    if (names.empty() || names.back() != name)
      names.emplace_back(name);
    ++node;
  }
  // Names with characters below '/' sort between a node and its descendants.
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool memory_tree::set(std::string_view path, std::string_view text) {
  auto absolute = resolve(path);
  if (!absolute || path.size() + 1 + text.size() > payload_size_max)
    return false;
  for (auto slash = absolute->find('/', 1); slash != std::string::npos;
       slash = absolute->find('/', slash + 1))
    nodes_.try_emplace(absolute->substr(0, slash));
  nodes_.insert_or_assign(*absolute, std::string{text});
  for (const auto& [id, to] : watchers_)
    if (covers(to.absolute, *absolute))
      report(id, to, *absolute);
  return true;
}

bool memory_tree::erase(std::string_view path) {
  const auto absolute = resolve(path);
  if (!absolute || !nodes_.contains(*absolute))
    return false;
  for (const auto& [id, to] : watchers_) {
    if (covers(to.absolute, *absolute))
      report(id, to, *absolute);
    else if (covers(*absolute, to.absolute) && nodes_.contains(to.absolute))
      report(id, to, to.absolute);
  }
  nodes_.erase(*absolute);
  const auto prefix = *absolute + '/';
  auto node = nodes_.lower_bound(prefix);
  while (node != nodes_.end() && node->first.starts_with(prefix))
    node = nodes_.erase(node);
  return true;
}

} // namespace vtpm::xenio
