// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/error.h"
#include "core/text/byte_trie.h"
#include "core/text/normalizer.h"
#include "core/text/subword_model.h"

namespace kvista {

/// The "added_tokens" of tokenizer.json: strings that are taken out of a text as one token before anything else happens
/// to it.
class AddedTokens {
 public:
  /// A stretch of a text: one added token, or (no id) what lies between two of them.
  struct Stretch {
    std::size_t begin;
    std::size_t end;
    std::optional<std::uint32_t> id;
  };
  enum class Kind {
    raw,         ///< Found in the text as it came ("normalized": false).
    normalized,  ///< Found in the normalised text, in their own normalised form.
  };

  /// Ids follow the `tokenizers` library: a token of the model keeps its id, another gets the next free one, whatever
  /// the file says. `normalizer` may be null.
  static Result<AddedTokens> read(const nlohmann::json& json, const std::string& where, const SubwordModel& model,
                                  const TextNormalizer* normalizer);

  /// Cuts `text` at the tokens of `kind`: leftmost first, the longest of those that start there.
  void find(std::string_view text, Kind kind, std::vector<Stretch>& stretches) const;
  /// What a decoder is given for `id`; nothing when it is not an added token.
  [[nodiscard]] std::optional<std::string_view> tokenOf(std::uint32_t id) const;
  [[nodiscard]] bool isSpecial(std::string_view token) const { return specials_.contains(std::string(token)); }
  [[nodiscard]] std::optional<std::uint32_t> largestId() const;

 private:
  struct Token {
    std::string content;
    std::string normalizedForm;  ///< Equal to `content` for tokens that are not normalised.
    bool singleWord = false;
    bool stripLeft = false;
    bool stripRight = false;
    bool normalized = false;
  };

  std::map<std::uint32_t, Token> tokens_;
  std::unordered_set<std::string> specials_;
  ByteTrie raw_;
  ByteTrie normalized_;
};

}  // namespace kvista
