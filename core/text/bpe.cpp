// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::size_t kMaximumAffix = 64;

std::uint64_t pairKey(std::uint32_t first, std::uint32_t second) { return std::uint64_t{first} << 32 | second; }

}  // namespace

struct BpeModel::Symbol {
  std::uint32_t id;
  std::int32_t previous;
  std::int32_t next;  ///< -1: the last one. kMerged: part of a symbol to its left.
  static constexpr std::int32_t kMerged = -2;
};

struct BpeModel::Candidate {
  std::uint32_t rank;
  std::uint32_t position;
  std::uint32_t result;
  /// For a queue that gives the lowest rank first, and of those the leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

Result<std::unique_ptr<SubwordModel>> BpeModel::read(const TokenizerFields& fields) {
  auto model = std::make_unique<BpeModel>();
  if (const auto* dropout = fields.find("dropout"); dropout != nullptr && *dropout != 0) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: \"dropout\" is {}, which makes tokenisation random.", fields.where(),
                            dropout->dump().substr(0, 40)),
                "Set dropout to null.");
  }
  KVISTA_ASSIGN(model->fuseUnknown_, fields.flag("fuse_unk", false));
  KVISTA_ASSIGN(model->byteFallback_, fields.flag("byte_fallback", false));
  KVISTA_ASSIGN(model->ignoreMerges_, fields.flag("ignore_merges", false));
  KVISTA_ASSIGN(model->prefix_, fields.text("continuing_subword_prefix", ""));
  KVISTA_ASSIGN(model->suffix_, fields.text("end_of_word_suffix", ""));
  if (std::max(model->prefix_.size(), model->suffix_.size()) > kMaximumAffix) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: the subword prefix or suffix is longer than {} bytes.",
                                                    fields.where(), kMaximumAffix));
  }
  if (fields.find("unk_token") != nullptr) {
    KVISTA_ASSIGN(model->unknownToken_, fields.text("unk_token"));
  }
  KVISTA_CHECK(model->readVocabulary(fields));
  KVISTA_CHECK(model->readMerges(fields));
  return model;
}

Result<void> BpeModel::readVocabulary(const TokenizerFields& fields) {
  const auto* vocabulary = fields.find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) return fields.wrong("vocab", "an object of tokens and ids");
  ids_.reserve(vocabulary->size());
  tokens_.reserve(vocabulary->size());
  for (const auto& [token, value] : vocabulary->items()) {
    if (const auto invalid = firstInvalidUtf8(token)) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: a token of \"vocab\" is not UTF-8 at byte {}.", fields.where(), *invalid));
    }
    KVISTA_ASSIGN(const std::uint32_t id,
                  tokenizerId(value, fmt::format("{}: the id of token \"{}\"", fields.where(), token.substr(0, 80))));
    const auto entry = ids_.emplace(token, id).first;
    tokens_.emplace(id, entry->first);
    largestId_ = std::max(largestId_.value_or(0), id);
    if (token.size() <= 4 && !token.empty() && utf8Length(static_cast<unsigned char>(token[0])) == token.size()) {
      std::size_t position = 0;
      characters_.insert(nextCharacter(token, position));
    }
  }
  // With two tokens of one id a symbol's id does not tell its text; with ignore_merges a part might be taken as a
  // whole.
  fallsApart_ = prefix_.empty() && suffix_.empty() && tokens_.size() == ids_.size() && !ignoreMerges_;
  if (byteFallback_) byteIds_ = byteTokenIds(ids_);
  return {};
}

Result<void> BpeModel::readMerges(const TokenizerFields& fields) {
  const auto* list = fields.find("merges");
  if (list == nullptr || !list->is_array()) return fields.wrong("merges", "an array");
  merges_.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto& entry = (*list)[i];
    const auto malformed = [&] {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: merge {} is not a pair of two tokens: {}.", fields.where(), i,
                              entry.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 120)));
    };
    if (entry.is_string()) {
      const auto& text = entry.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return malformed();
      const std::string_view view = text;
      KVISTA_CHECK(addMerge(view.substr(0, space), view.substr(space + 1), i, fields.where()));
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      KVISTA_CHECK(
          addMerge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>(), i, fields.where()));
    } else {
      return malformed();
    }
  }
  return {};
}

Result<void> BpeModel::addMerge(std::string_view left, std::string_view right, std::size_t index,
                                const std::string& where) {
  const auto missing = [&](std::string_view token) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: merge {} needs the token \"{}\", which is not in \"vocab\".",
                                                    where, index, replaceInvalidUtf8(token.substr(0, 80))));
  };
  const auto leftId = ids_.find(left);
  if (leftId == ids_.end()) return missing(left);
  const auto rightId = ids_.find(right);
  if (rightId == ids_.end()) return missing(right);
  if (right.size() < prefix_.size()) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: the right side of merge {} has {} bytes, fewer than the subword prefix \"{}\".", where,
                            index, right.size(), prefix_));
  }
  const std::string merged = std::string(left) + std::string(right.substr(prefix_.size()));
  const auto result = ids_.find(merged);
  if (result == ids_.end()) return missing(merged);
  merges_.insert_or_assign(pairKey(leftId->second, rightId->second),
                           Merge{static_cast<std::uint32_t>(index), result->second});
  if (!fallsApart_) return {};
  std::size_t position = 0;
  for (char32_t first = nextCharacter(merged, position); position < merged.size();) {
    const char32_t second = nextCharacter(merged, position);
    neighbours_.insert(pairKey(first, second));
    first = second;
  }
  return {};
}

std::optional<std::uint32_t> BpeModel::idOf(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string_view> BpeModel::tokenOf(std::uint32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::nullopt : std::optional(found->second);
}

std::size_t BpeModel::independentEnd(std::string_view piece, std::size_t begin) const {
  if (!fallsApart_) return piece.size();
  char32_t first = nextCharacter(piece, begin);
  while (begin < piece.size()) {
    std::size_t end = begin;
    const char32_t second = nextCharacter(piece, end);
    // Runs of unknown characters stay together: they may become one unknown token.
    if (!neighbours_.contains(pairKey(first, second)) && characters_.contains(first) && characters_.contains(second))
      break;
    first = second;
    begin = end;
  }
  return begin;
}

Result<void> BpeModel::encode(std::string_view piece, std::vector<std::uint32_t>& ids) const {
  if (ignoreMerges_) {
    if (const auto whole = idOf(piece)) {
      ids.push_back(*whole);
      return {};
    }
  }
  if (piece.size() >= std::size_t{1} << 30) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("A stretch of text without a place to split has {} bytes; at most {} are supported.",
                            piece.size(), std::size_t{1} << 30));
  }
  std::vector<Symbol> symbols;
  KVISTA_CHECK(splitIntoSymbols(piece, symbols));
  mergeSymbols(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.next != Symbol::kMerged) ids.push_back(symbol.id);
  }
  return {};
}

Result<void> BpeModel::splitIntoSymbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  symbols.reserve(piece.size());
  const auto add = [&](std::uint32_t id) {
    const auto index = static_cast<std::int32_t>(symbols.size());
    if (index > 0) symbols.back().next = index;
    symbols.push_back({id, index - 1, -1});
  };
  bool pendingUnknown = false;
  std::optional<std::uint32_t> unknownId;
  std::string decorated;
  for (std::size_t position = 0; position < piece.size();) {
    const std::size_t begin = position;
    position += utf8Length(static_cast<unsigned char>(piece[position]));
    std::string_view text = piece.substr(begin, position - begin);
    const bool first = begin == 0;
    const bool last = position == piece.size();
    if ((!first && !prefix_.empty()) || (last && !suffix_.empty())) {
      decorated = (first ? "" : prefix_) + std::string(text) + (last ? suffix_ : "");
      text = decorated;
    }
    if (const auto id = idOf(text)) {
      if (pendingUnknown) add(*unknownId);
      pendingUnknown = false;
      add(*id);
      continue;
    }
    // An unknown token that is still pending comes after the bytes here; the `tokenizers` library does the same.
    if (byteFallback_ &&
        std::ranges::all_of(text, [&](char c) { return byteIds_[static_cast<unsigned char>(c)].has_value(); })) {
      for (const char c : text) add(*byteIds_[static_cast<unsigned char>(c)]);
      continue;
    }
    if (!unknownToken_) continue;
    if (!unknownId) unknownId = idOf(*unknownToken_);
    if (!unknownId) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("The tokenizer's unk_token \"{}\" is not in its vocabulary, but the text needs it.",
                              unknownToken_->substr(0, 80)));
    }
    if (pendingUnknown && !fuseUnknown_) add(*unknownId);
    pendingUnknown = true;
  }
  if (pendingUnknown) add(*unknownId);
  return {};
}

const BpeModel::Merge* BpeModel::mergeOf(std::uint32_t left, std::uint32_t right) const {
  const auto found = merges_.find(pairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::mergeSymbols(std::vector<Symbol>& symbols) const {
  std::vector<Candidate> start;
  const auto candidate = [&](std::int32_t left, std::int32_t right, auto&& push) {
    const Merge* merge =
        mergeOf(symbols[static_cast<std::size_t>(left)].id, symbols[static_cast<std::size_t>(right)].id);
    if (merge != nullptr) push(Candidate{merge->rank, static_cast<std::uint32_t>(left), merge->result});
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
    candidate(static_cast<std::int32_t>(i), static_cast<std::int32_t>(i + 1),
              [&](const Candidate& c) { start.push_back(c); });
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(start));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[top.position];
    if (left.next < 0) continue;
    const auto rightIndex = left.next;
    Symbol& right = symbols[static_cast<std::size_t>(rightIndex)];
    const Merge* merge = mergeOf(left.id, right.id);
    if (merge == nullptr || merge->result != top.result) continue;  // The pair that was queued is gone.
    left.id = top.result;
    left.next = right.next;
    right.next = Symbol::kMerged;
    const auto position = static_cast<std::int32_t>(top.position);
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = position;
    if (left.previous >= 0) candidate(left.previous, position, [&](const Candidate& c) { queue.push(c); });
    if (left.next >= 0) candidate(position, left.next, [&](const Candidate& c) { queue.push(c); });
  }
}

}  // namespace kvista
