// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A stretch of a searched text: what a pattern matched, or what lies between two matches.
struct Section {
  std::size_t begin;
  std::size_t end;
  bool isMatch;
};

/// A compiled regular expression (PCRE2, JIT where there is one). A search is bounded in steps, memory and time.
class Regex {
 public:
  /// `pattern` in Oniguruma's Ruby syntax; `where` names the field in messages.
  static Result<Regex> compile(std::string_view pattern, std::string_view where);

  /// Replaces `sections` by matches and gaps that cover `text` (well-formed UTF-8) in order. As in the `tokenizers`
  /// library, an empty match is taken too, unless it touches the end of the match before it.
  Result<void> search(std::string_view text, std::vector<Section>& sections) const;

  /// How far a search in parts has come.
  struct Place {
    std::size_t from = 0;
    std::size_t covered = 0;  ///< End of the last section.
    bool anyMatch = false;
    bool isAtEnd = false;
    std::chrono::steady_clock::duration spent{};
  };
  /// Replaces `sections` by those that follow `place`, about `most` of them, and moves it behind them: together they
  /// are what `search` finds.
  Result<void> searchOn(std::string_view text, Place& place, std::size_t most, std::vector<Section>& sections) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code);
  std::shared_ptr<const Code> code_;
};

}  // namespace kvista
