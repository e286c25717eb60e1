#include "core/tensor_set.h"

#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"

namespace binocle {

void TensorSet::Add(std::string_view name, TensorView view, std::shared_ptr<const void> owner,
                    const std::string& where) {
  if (!tensors_.emplace(name, view).second)
    ThrowInvalid(where, ": ", Printable(name), " is in two files");
  owners_.insert(std::move(owner));
}

void TensorSet::AddMapped(std::string_view name, TensorView view, std::shared_ptr<const void> file,
                          const std::string& where) {
  Add(name, view, std::move(file), where);
  mapped_.emplace(name);
}

void TensorSet::Release(std::string_view name) const {
  if (!mapped_.contains(name)) return;
  const TensorView& view = *Find(name);
  ReleaseMapped(view.data(), static_cast<size_t>(view.bytes()));
}

void TensorSet::Add(std::string name, Tensor tensor) {
  const auto owned = std::make_shared<Tensor>(std::move(tensor));
  const auto [it, inserted] = tensors_.emplace(std::move(name), TensorView());
  it->second = owned->view().Named(it->first);
  owners_.insert(owned);
}

const TensorView* TensorSet::Find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

bool TensorSet::HasPrefix(std::string_view prefix) const {
  const auto it = tensors_.lower_bound(prefix);
  return it != tensors_.end() && it->first.starts_with(prefix);
}

std::string NameMap::Stored(std::string_view asked) const {
  for (const Entry& entry : entries) {
    if (asked.starts_with(entry.asked))
      return entry.stored + std::string(asked.substr(entry.asked.size()));
  }
  return std::string(asked);
}

}  // namespace binocle
