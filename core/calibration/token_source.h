// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/distributed/process_group.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// Which tokens of which texts a pass reads. Recorded with everything that was computed from them.
struct TextRecipe {
  /// Text files, folders (their *.txt and *.jsonl by name), .jsonl files (field "text" of each line), or "-" for stdin.
  std::vector<std::string> paths;
  /// One a path: windows are taken from all of them in this ratio, mixed evenly, until one has none left. Empty: from
  /// one text after another.
  std::vector<double> weights;
  std::int64_t window = 0;              ///< Tokens a window; 0: the smaller of 2048 and the model's context.
  std::optional<std::int64_t> windows;  ///< At most this many; absent: all there are.
  std::int64_t skipWindows = 0;         ///< Windows left out at the start of that order (shards, held-out slices).
  std::optional<std::uint64_t> seed;    ///< Draws windows at random; absent: from the start, in order.
  bool beginWithBos = false;            ///< Each window's first token is BOS instead of text.

  bool operator==(const TextRecipe&) const = default;
};

nlohmann::json toJson(const TextRecipe& recipe);
Result<TextRecipe> textRecipeFromJson(const nlohmann::json& json);

/// The recipe's texts for people: their paths, with weights where they have some.
std::vector<std::string> textsInWords(const TextRecipe& recipe);

/// Tokens a window where a recipe names none: 2048, or the model's context if that is shorter (0: not known).
std::int64_t usualWindow(std::int64_t maximumPositions);

struct TokenWindows {
  at::Tensor ids;                 ///< int64 [windows, window].
  std::string hash;               ///< 16 hex digits over the ids and the shape.
  std::int64_t tokensInText = 0;  ///< Of all documents together, before cutting into windows.
};

/// "The text a.txt has", "The 3 texts a.txt to c.txt have": the beginning of a sentence that refuses them; "The text
/// has" without paths.
std::string textsHave(const std::vector<std::string>& paths);

/// The whole of a text file. Errors: io, invalidArgument (not UTF-8).
Result<std::string> readText(const std::filesystem::path& file);

/// Refuses texts that are not there, are no regular files or do not begin in UTF-8, before any work. Errors: io,
/// invalidArgument.
Result<void> checkTexts(const std::vector<std::string>& paths);

/// Tokens of all documents, one after another, without special tokens. `wanted`: reading stops once there are as many;
/// absent: all. Errors: no such file, not UTF-8, a JSONL line without text.
Result<std::vector<std::uint32_t>> readTokens(const Tokenizer& tokenizer, const std::vector<std::string>& paths,
                                              std::optional<std::int64_t> wanted, const Task& task);

/// Reads, tokenises (each document alone, without special tokens) and cuts into windows that do not overlap; the rest
/// that fills no window is left out. Errors: no such file, not UTF-8, a JSONL line without text, fewer tokens than one
/// window. `bos`: id to put first when the recipe asks for it. Of a group of `processes` the first member reads, and
/// the others get what it read.
Result<TokenWindows> readTokenWindows(const Tokenizer& tokenizer, const TextRecipe& recipe,
                                      std::optional<std::uint32_t> bos, const Task& task,
                                      const ProcessGroup& processes = {});

/// Some of the windows, with their own hash.
TokenWindows windowsOf(const TokenWindows& windows, std::int64_t begin, std::int64_t count);

}  // namespace kvista
