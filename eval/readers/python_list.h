// Lists of texts as Python's repr writes them, read as ast.literal_eval reads them: data sets keep lists in cells that way (MMMU's
// options).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle::eval {

// "['yes', \"it's\\xa0no\"]" as its texts, escapes taken back. Nothing where it is no such list, or where a text holds what no UTF-8 has
// (half of a surrogate pair) or what only Python's tables know (\N{NAME}).
std::optional<std::vector<std::string>> PythonList(std::string_view text);

}  // namespace binocle::eval
