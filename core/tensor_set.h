// The tensors of a model's files, by name, and how families of checkpoints spell the names.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace binocle {

// All tensors of a model, by name: views into mapped files (core/weight_files.h) or tensors of its own.
class TensorSet {
 public:
  // `view` and its name stay valid while `owner` lives. Throws INVALID_ARGUMENT when the name is taken; `where` names the source.
  void Add(std::string_view name, TensorView view, std::shared_ptr<const void> owner,
           const std::string& where);
  void Add(std::string name, Tensor tensor);
  // A view into a mapped file, which need not stay in memory once it has been read.
  void AddMapped(std::string_view name, TensorView view, std::shared_ptr<const void> file,
                 const std::string& where);

  const TensorView* Find(std::string_view name) const;
  // Where the tensor is a view into a mapped file: its pages may go.
  void Release(std::string_view name) const;
  bool HasPrefix(std::string_view prefix) const;
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }

 private:
  std::set<std::shared_ptr<const void>> owners_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::set<std::string, std::less<>> mapped_;
};

// How a family of checkpoints spells the names that models ask for: the first entry whose `asked` is a prefix of a name replaces it.
struct NameMap {
  struct Entry {
    std::string asked;
    std::string stored;
  };
  std::vector<Entry> entries;

  std::string Stored(std::string_view asked) const;
};

}  // namespace binocle
