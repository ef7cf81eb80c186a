// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// One question with answers to choose from: a model chooses the continuation that it holds likeliest.
struct ChoiceItem {
  std::int64_t line = 0;  ///< Of the file, from 1.
  std::string context;
  std::vector<std::string> continuations;  ///< At least two, each with the space before it.
  std::vector<std::size_t> bytes;          ///< Of each answer, without that space.
  std::size_t gold = 0;                    ///< The right one.
};

/// One question whose answer a model writes.
struct WritingItem {
  std::int64_t line = 0;
  std::string context;
  std::vector<std::string> targets;  ///< Any of these is right.
  std::vector<std::string> until;    ///< What is written ends before the first of these.
  std::int64_t maximumTokens = 0;
};

struct TaskItems {
  std::vector<ChoiceItem> choices;
  std::vector<WritingItem> writings;
};

/// Reads a JSONL file, an object a line, in the forms of EleutherAI's lm-evaluation-harness (docs/task_guide.md):
/// `{"query", "choices", "gold"}` asks for one of several answers, `{"prompt", "target", "until", "max_gen_toks"}` for
/// a written one (the last two may be absent: a blank line and 256, the harness's defaults), and the lines that the
/// harness itself writes with
/// `--log_samples` are read by their `arguments` and `target`. An answer stands behind its query and one space. Other
/// fields are left alone. `most`: only the first items. Errors: io, corruptFile or invalidArgument with the line's
/// number and the field.
Result<TaskItems> readTaskItems(const std::filesystem::path& path, std::optional<std::int64_t> most = {});

}  // namespace kvista
