#include "tpm/hardware/counted_store.hpp"

namespace vtpm::tpm {

result<durable_receipt> commit_counted(state_store& store, committer& writer,
                                       counter_keeper& counter, generation gen,
                                       const snapshot& state) {
  const auto write = store.prepare(gen, state);
  if (!write)
    return write.error();
  auto written = write_and_wait(writer, write->offset, write->data);
  if (!written)
    return written.error();
  auto raised = counter.raise(write->record.number);
  if (!raised)
    return raised.error();
  return store.acknowledge();
}

result<state_store::opened> open_counted(slot_device& device, committer& writer,
                                         const local_key& key,
                                         tpm_version expected,
                                         counter_keeper& counter, bool adopt) {
  auto now = counter.read();
  if (!now)
    return now.error();
  auto opened = state_store::open(device, key, expected, *now, adopt);
  if (!opened)
    return opened;
  if (opened->verdict.ahead) {
    auto raised = counter.raise(opened->number);
    if (!raised)
      return raised.error();
  }
  auto& store = *opened->store;
  auto committed = commit_counted(store, writer, counter,
                                  store.latest().through() + 1, *opened->state);
  if (!committed)
    return committed.error();
  return opened;
}

} // namespace vtpm::tpm
