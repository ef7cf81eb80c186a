// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/text/subword_model.h"
#include "core/text/tokenizer_fields.h"

namespace kvista {

/// Byte pair encoding: starts from characters and merges the pair of lowest rank, leftmost first, until none is left.
class BpeModel final : public SubwordModel {
 public:
  static Result<std::unique_ptr<SubwordModel>> read(const TokenizerFields& fields);

  Result<void> encode(std::string_view piece, std::vector<std::uint32_t>& ids) const override;
  /// No merge joins two neighbouring characters that no merge's result holds side by side, so a piece falls apart
  /// there. Without this a text that has no pre-tokenizer would be one word of millions of symbols.
  std::size_t independentEnd(std::string_view piece, std::size_t begin) const override;
  std::optional<std::uint32_t> idOf(std::string_view token) const override;
  std::optional<std::string_view> tokenOf(std::uint32_t id) const override;
  std::size_t tokenCount() const override { return ids_.size(); }
  std::optional<std::uint32_t> largestId() const override { return largestId_; }

 private:
  struct Merge {
    std::uint32_t rank;
    std::uint32_t result;
  };
  struct Symbol;
  struct Candidate;

  Result<void> readVocabulary(const TokenizerFields& fields);
  Result<void> readMerges(const TokenizerFields& fields);
  Result<void> addMerge(std::string_view left, std::string_view right, std::size_t index, const std::string& where);
  Result<void> splitIntoSymbols(std::string_view piece, std::vector<Symbol>& symbols) const;
  void mergeSymbols(std::vector<Symbol>& symbols) const;
  [[nodiscard]] const Merge* mergeOf(std::uint32_t left, std::uint32_t right) const;

  TokenIds ids_;
  std::unordered_map<std::uint32_t, std::string_view> tokens_;  ///< Views of the keys of `ids_`.
  std::unordered_map<std::uint64_t, Merge> merges_;             ///< By left id << 32 | right id.
  std::unordered_set<std::uint64_t> neighbours_;                ///< First << 32 | second, within merge results.
  std::unordered_set<char32_t> characters_;                     ///< That are tokens by themselves.
  std::array<std::optional<std::uint32_t>, 256> byteIds_;
  std::optional<std::uint32_t> largestId_;
  std::optional<std::string> unknownToken_;
  std::string prefix_;  ///< Put before every character of a piece but the first, for lookup.
  std::string suffix_;  ///< Put behind the last character of a piece.
  bool fuseUnknown_ = false;
  bool byteFallback_ = false;
  bool ignoreMerges_ = false;
  bool fallsApart_ = false;  ///< `neighbours_` may be used.
};

}  // namespace kvista
