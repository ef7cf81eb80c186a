// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
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

  /// Takes some of the pieces, which lie in a text of their own, and how far they reach in the whole one.
  using Visit = std::function<Result<void>(TextPieces& part, std::size_t end)>;
  /// Gives `visit` the same pieces, in order, a part of a long text at a time: all at once take many times its size.
  [[nodiscard]] virtual Result<void> applyInParts(TextPieces& pieces, const Visit& visit) const {
    KVISTA_CHECK(apply(pieces));
    return visit(pieces, pieces.text.size());
  }
  /// Whether it has a way to.
  [[nodiscard]] virtual bool goesInParts() const { return false; }

  /// `where` names the object in messages.
  static Result<std::unique_ptr<PreTokenizer>> read(const nlohmann::json& json, std::string where, int depth = 0);
};

}  // namespace kvista
