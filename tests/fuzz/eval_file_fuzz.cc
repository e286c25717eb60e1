// The kind of a file, a line break, and any bytes as that file: rows of every format of task data, a task, a table of objects, a judge's verdicts, a
// journal. Nothing but binocle::Error comes out; rows are objects with places, every damaged one is counted, and a journal's whole lines
// are sealed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "eval/chair.h"
#include "eval/readers/readers.h"
#include "eval/run/journal.h"
#include "eval/run/journal_index.h"
#include "eval/run/verdicts.h"
#include "eval/task.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace binocle::eval;  // NOLINT: a test
using binocle::Error;
using binocle::testing::MemoryFile;

void ReadRows(DataFormat format, std::string_view bytes) {
  const size_t end =
      format == DataFormat::kVqa ? std::min(bytes.find('\0'), bytes.size()) : bytes.size();
  const MemoryFile file(bytes.substr(0, end));
  const MemoryFile second(bytes.substr(std::min(end + 1, bytes.size())));
  DataFiles data{.format = format, .files = {file.name()}};
  if (format == DataFormat::kVqa) data.annotations = {second.name()};
  Problems problems;
  const auto rows = OpenRows(data, "/proc/self/fd", {.row_bytes = 4096}, problems);
  while (const auto row = rows->Next()) {
    BINOCLE_CHECK(row->fields.is_object(), row->place);
    BINOCLE_CHECK(row->place.starts_with(file.name() + ":"), row->place);
  }
  BINOCLE_CHECK(problems.count() >= std::ssize(problems.kept()), problems.count());
  for (const Problem& problem : problems.kept())
    BINOCLE_CHECK(problem.message.find('\n') == std::string::npos, problem.message);
}

void ReadJournal(std::string_view bytes) {
  const MemoryFile file(bytes);
  const JournalFile journal(file.path());
  BINOCLE_CHECK(journal.whole_bytes() <= bytes.size(), journal.whole_bytes());
  for (size_t i = 0; i < journal.lines(); ++i) BINOCLE_CHECK(IsSealed(journal.line(i)), i);
  if (journal.lines() > 0) JournalIndex index(journal);
}

void Read(std::string_view kind, std::string_view bytes) {
  const MemoryFile file(bytes);
  if (kind == "task") ParseTask(bytes, "task.json");
  if (kind == "objects") CaptionObjects objects{bytes};
  if (kind == "verdicts") Verdicts::Read(file.path(), JudgeKind::kScore);
  if (kind == "choices") Verdicts::Read(file.path(), JudgeKind::kChoice);
  if (kind == "journal") ReadJournal(bytes);
  const auto format = FindDataFormat(kind);
  if (format && *format != DataFormat::kMme) ReadRows(*format, bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  try {
    Read(input.substr(0, end), input.substr(std::min(end + 1, size)));
  } catch (const Error& error) {
    BINOCLE_CHECK(error.message().find('\n') == std::string::npos, error.message());
  }
  return 0;
}
