// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/text/byte_trie.h"
#include "core/text/subword_model.h"
#include "core/text/tokenizer_fields.h"

namespace kvista {

/// SentencePiece's unigram language model: the segmentation with the greatest sum of scores (Viterbi). A character that
/// is no token costs the lowest score minus 10; neighbouring unknown characters become one token.
class UnigramModel final : public SubwordModel {
 public:
  static Result<std::unique_ptr<SubwordModel>> read(const TokenizerFields& fields);

  Result<void> encode(std::string_view piece, std::vector<std::uint32_t>& ids) const override;
  std::optional<std::uint32_t> idOf(std::string_view token) const override;
  std::optional<std::string_view> tokenOf(std::uint32_t id) const override;
  std::size_t tokenCount() const override { return tokens_.size(); }
  std::optional<std::uint32_t> largestId() const override;

 private:
  Result<void> appendPiece(std::string_view text, std::vector<std::uint32_t>& ids) const;

  std::vector<std::string> tokens_;
  std::vector<double> scores_;
  TokenIds ids_;
  ByteTrie trie_;
  std::array<std::optional<std::uint32_t>, 256> byteIds_;
  std::optional<std::uint32_t> unknownId_;
  double unknownScore_ = 0;
  bool byteFallback_ = false;
};

}  // namespace kvista
