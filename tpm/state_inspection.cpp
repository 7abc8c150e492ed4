#include "tpm/state_inspection.hpp"

#include "tpm/slot_examination.hpp"

namespace vtpm::tpm {

namespace {

slot_report report_on(const examined_slot& slot, bool tried) {
  auto out = slot_report{};
  out.condition = slot.scan.condition;
  out.unreadable = slot.unreadable;
  if (const auto& header = slot.scan.header) {
    out.image = header->image;
    out.image_size = header->image.count * sector_size;
    out.sealed_size = header->sealed_size;
    out.digest = slot.digest;
    if (tried)
      out.opens = slot.authentic;
  }
  return out;
}

} // namespace

result<state_report> inspect_state(slot_device& device, const local_key* key) {
  auto cipher = slot_cipher::make();
  if (!cipher)
    return cipher.error();
  auto found = examine(device, *cipher);
  if (!found)
    return found.error();
  if (key != nullptr) {
    auto tried = unseal(*found, *cipher, key->octets);
    if (!tried)
      return tried.error();
  } else {
    for (auto& slot : found->slots)
      slot.authentic = slot.scan.header.has_value();
  }
  auto out = state_report{};
  for (unsigned i = 0; i < 2; ++i)
    out.slots[i] = report_on(found->slots[i], key != nullptr);
  const auto choice = choose_slot(found->slots, /*accept_older=*/false);
  if (choice)
    out.slots[choice->live].live = true;
  else
    out.refusal = choice.error();
  return out;
}

} // namespace vtpm::tpm
