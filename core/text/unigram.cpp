// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr std::size_t kMaximumVocabularyBytes = 16 << 20;  // Bounds the trie to 192 MiB.

tl::unexpected<Error> missingUnknown() {
  return fail(ErrorCode::corruptFile,
              "The text holds a character that the tokenizer's vocabulary lacks, and the tokenizer has no unk_id.");
}

}  // namespace

Result<std::unique_ptr<SubwordModel>> UnigramModel::read(const TokenizerFields& fields) {
  auto model = std::make_unique<UnigramModel>();
  KVISTA_ASSIGN(model->byteFallback_, fields.flag("byte_fallback", false));
  const auto* vocabulary = fields.find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_array()) return fields.wrong("vocab", "an array of [token, score]");
  if (fields.find("unk_id") != nullptr) {
    KVISTA_ASSIGN(model->unknownId_, fields.number("unk_id", 0));
    if (*model->unknownId_ >= vocabulary->size()) {
      return fail(ErrorCode::corruptFile, fmt::format("{}: \"unk_id\" is {}, but \"vocab\" has {} tokens.",
                                                      fields.where(), *model->unknownId_, vocabulary->size()));
    }
  }
  std::size_t bytes = 0;
  double lowest = std::numeric_limits<double>::infinity();
  model->tokens_.reserve(vocabulary->size());
  model->scores_.reserve(vocabulary->size());
  for (std::size_t i = 0; i < vocabulary->size(); ++i) {
    const auto& entry = (*vocabulary)[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[1].is_number()) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: entry {} of \"vocab\" is not [token, score].", fields.where(), i));
    }
    KVISTA_ASSIGN(std::string token,
                  tokenizerText(entry[0], fmt::format("{}: token {} of \"vocab\"", fields.where(), i)));
    bytes += token.size();
    model->scores_.push_back(entry[1].get<double>());
    lowest = std::min(lowest, model->scores_.back());
    model->ids_.insert_or_assign(token, static_cast<std::uint32_t>(i));
    model->tokens_.push_back(std::move(token));
  }
  if (bytes > kMaximumVocabularyBytes) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: the tokens of \"vocab\" have {} bytes; at most {} are supported.", fields.where(),
                            bytes, kMaximumVocabularyBytes));
  }
  model->unknownScore_ = lowest - kUnknownPenalty;
  std::vector<std::pair<std::string_view, std::uint32_t>> entries(model->ids_.begin(), model->ids_.end());
  model->trie_ = ByteTrie(std::move(entries));
  if (model->byteFallback_) model->byteIds_ = byteTokenIds(model->ids_);
  return model;
}

std::optional<std::uint32_t> UnigramModel::idOf(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string_view> UnigramModel::tokenOf(std::uint32_t id) const {
  return id < tokens_.size() ? std::optional<std::string_view>(tokens_[id]) : std::nullopt;
}

std::optional<std::uint32_t> UnigramModel::largestId() const {
  return tokens_.empty() ? std::nullopt : std::optional(static_cast<std::uint32_t>(tokens_.size() - 1));
}

Result<void> UnigramModel::encode(std::string_view piece, std::vector<std::uint32_t>& ids) const {
  struct Best {
    double score = 0;
    std::size_t begin = std::string_view::npos;  ///< Of the last token of the best way to get here.
    std::uint32_t id = 0;
  };
  std::vector<Best> ways(piece.size() + 1);
  for (std::size_t begin = 0; begin < piece.size();) {
    const double soFar = ways[begin].score;
    const std::size_t characterLength = utf8Length(static_cast<unsigned char>(piece[begin]));
    const auto consider = [&](std::size_t length, double score, std::uint32_t id) {
      Best& way = ways[begin + length];
      if (way.begin == std::string_view::npos || score + soFar > way.score) way = {score + soFar, begin, id};
    };
    bool hasCharacter = false;
    trie_.forEachPrefix(piece.substr(begin), [&](std::size_t length, std::uint32_t id) {
      consider(length, scores_[id], id);
      hasCharacter |= length == characterLength;
    });
    if (!hasCharacter) {
      if (!unknownId_) return missingUnknown();
      consider(characterLength, unknownScore_, *unknownId_);
    }
    begin += characterLength;
  }
  std::vector<std::pair<std::size_t, std::size_t>> tokens;  // Last one first; unknown neighbours already joined.
  bool afterUnknown = false;
  for (std::size_t end = piece.size(); end > 0;) {
    const Best& way = ways[end];
    const bool unknown = unknownId_ && way.id == *unknownId_;
    if (unknown && afterUnknown) {
      tokens.back().first = way.begin;
    } else {
      tokens.emplace_back(way.begin, end);
    }
    afterUnknown = unknown;
    end = way.begin;
  }
  for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
    KVISTA_CHECK(appendPiece(piece.substr(token->first, token->second - token->first), ids));
  }
  return {};
}

Result<void> UnigramModel::appendPiece(std::string_view text, std::vector<std::uint32_t>& ids) const {
  if (const auto id = idOf(text)) {
    ids.push_back(*id);
    return {};
  }
  if (byteFallback_ &&
      std::ranges::all_of(text, [&](char c) { return byteIds_[static_cast<unsigned char>(c)].has_value(); })) {
    for (const char c : text) ids.push_back(*byteIds_[static_cast<unsigned char>(c)]);
    return {};
  }
  if (!unknownId_) return missingUnknown();
  ids.push_back(*unknownId_);
  return {};
}

}  // namespace kvista
