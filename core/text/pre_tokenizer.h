// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A text cut into pieces, none of them empty.
struct TextPieces {
  struct Piece {
    std::size_t begin;
    std::size_t end;
    bool atStart;  ///< Its first character is the first of the whole input.
  };
  std::string text;
  std::vector<Piece> pieces;

  [[nodiscard]] std::string_view operator[](std::size_t index) const {
    return std::string_view(text).substr(pieces[index].begin, pieces[index].end - pieces[index].begin);
  }
};

/// The "pre_tokenizer" of tokenizer.json: cuts pieces further, and may rewrite them.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  [[nodiscard]] virtual Result<void> apply(TextPieces& pieces) const = 0;

  /// `where` names the object in messages.
  static Result<std::unique_ptr<PreTokenizer>> read(const nlohmann::json& json, std::string where, int depth = 0);
};

}  // namespace kvista
