// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/io/json_file.h"
#include "core/text/added_tokens.h"
#include "core/text/normalizer.h"
#include "core/text/post_processor.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/subword_model.h"
#include "core/text/token_decoder.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

/// Ids of pieces that came before in the same text; words repeat.
class PieceCache {
 public:
  Result<void> encode(const SubwordModel& model, std::string_view piece, std::vector<std::uint32_t>& ids) {
    if (const auto known = ranges_.find(piece); known != ranges_.end()) {
      const auto [begin, end] = known->second;
      ids.insert(ids.end(), kept_.begin() + begin, kept_.begin() + end);
      return {};
    }
    const std::size_t before = ids.size();
    KVISTA_CHECK(model.encode(piece, ids));
    if (piece.size() > kMaximumPiece || ranges_.size() >= kMaximumPieces) return {};
    const auto begin = static_cast<std::ptrdiff_t>(kept_.size());
    kept_.insert(kept_.end(), ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end());
    ranges_.emplace(piece, std::pair(begin, static_cast<std::ptrdiff_t>(kept_.size())));
    return {};
  }

 private:
  static constexpr std::size_t kMaximumPiece = 128;
  static constexpr std::size_t kMaximumPieces = 100'000;
  std::unordered_map<std::string, std::pair<std::ptrdiff_t, std::ptrdiff_t>, StringHash, std::equal_to<>> ranges_;
  std::vector<std::uint32_t> kept_;
};

}  // namespace

struct Tokenizer::Parts {
  static Result<Tokenizer> read(const nlohmann::json& json, std::string_view what);

  std::unique_ptr<TextNormalizer> normalizer;  // May be null.
  std::unique_ptr<PreTokenizer> preTokenizer;  // May be null.
  std::unique_ptr<SubwordModel> model;
  std::unique_ptr<TokenDecoder> decoder;  // May be null.
  PostProcessor postProcessor;
  AddedTokens addedTokens;

  Result<void> encodePieces(const TextPieces& pieces, PieceCache& cache, std::vector<std::uint32_t>& ids) const {
    for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
      const std::string_view piece = pieces[i];
      for (std::size_t begin = 0; begin < piece.size();) {
        const std::size_t end = model->independentEnd(piece, begin);
        KVISTA_CHECK(cache.encode(*model, piece.substr(begin, end - begin), ids));
        begin = end;
      }
    }
    return {};
  }

  /// A stretch between raw added tokens. `listener` hears how much of it is done.
  Result<void> encodeStretch(std::string_view text, bool atStart, PieceCache& cache, std::vector<std::uint32_t>& ids,
                             const Listener& listener) const {
    NormalizedText normalized{std::string(text)};
    if (normalizer) KVISTA_CHECK(normalizer->apply(normalized));
    std::vector<AddedTokens::Stretch> stretches;
    addedTokens.find(normalized.text, AddedTokens::Kind::normalized, stretches);
    for (const auto& stretch : stretches) {
      if (stretch.id) {
        ids.push_back(*stretch.id);
        continue;
      }
      TextPieces pieces;
      pieces.text = stretches.size() == 1 ? std::move(normalized.text)
                                          : normalized.text.substr(stretch.begin, stretch.end - stretch.begin);
      if (pieces.text.empty()) continue;
      pieces.pieces.push_back({0, pieces.text.size(), atStart && normalized.keepsFront && stretch.begin == 0});
      if (!preTokenizer) {
        KVISTA_CHECK(encodePieces(pieces, cache, ids));
        continue;
      }
      const PreTokenizer::Visit encodePart = [&](const TextPieces& part, std::size_t end) -> Result<void> {
        KVISTA_CHECK(encodePieces(part, cache, ids));
        // Normalised text may be longer or shorter than what it is of.
        return listener ? listener(std::min(stretch.begin + end, text.size())) : Result<void>();
      };
      KVISTA_CHECK(preTokenizer->applyInParts(pieces, encodePart));
    }
    return {};
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

namespace {

/// What to do about any part of a tokenizer that cannot be read; a hint that is there already says more.
Error withHint(Error error) {
  if (error.hint.empty())
    error.hint = error.code == ErrorCode::unsupportedModel
                     ? "Save the tokenizer anew with transformers "
                       "(AutoTokenizer.from_pretrained(...).save_pretrained(folder)), or use a model "
                       "with one of the supported kinds."
                     : "Get the model's tokenizer again from where it came from; this one is damaged.";
  return error;
}

}  // namespace

Result<Tokenizer> Tokenizer::fromFile(const std::filesystem::path& tokenizerJson) {
  KVISTA_ASSIGN(const nlohmann::json json, readJsonFile(tokenizerJson));
  return fromJson(json, tokenizerJson.string());
}

Result<Tokenizer> Tokenizer::fromJson(const nlohmann::json& json, std::string_view what) {
  auto tokenizer = Parts::read(json, what);
  if (!tokenizer) return tl::unexpected(withHint(std::move(tokenizer).error()));
  return tokenizer;
}

Result<Tokenizer> Tokenizer::Parts::read(const nlohmann::json& json, std::string_view what) {
  const auto named = [&](std::string_view part) { return fmt::format("{}: {}", what, part); };
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, std::string(what)));
  KVISTA_ASSIGN(const std::string version, fields.text("version", "1.0"));
  if (version != "1.0") {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: version \"{}\" is not supported; supported: 1.0.", what, version.substr(0, 40)));
  }
  // "truncation" and "padding" are left out: whoever calls cuts and pads.
  auto parts = std::make_unique<Parts>();
  KVISTA_ASSIGN(const auto* model, fields.require("model"));
  KVISTA_ASSIGN(parts->model, SubwordModel::read(*model, named("model")));
  if (const auto* normalizer = fields.find("normalizer")) {
    KVISTA_ASSIGN(parts->normalizer, TextNormalizer::read(*normalizer, named("normalizer")));
  }
  if (const auto* preTokenizer = fields.find("pre_tokenizer")) {
    KVISTA_ASSIGN(parts->preTokenizer, PreTokenizer::read(*preTokenizer, named("pre_tokenizer")));
  }
  if (const auto* postProcessor = fields.find("post_processor")) {
    KVISTA_ASSIGN(parts->postProcessor, PostProcessor::read(*postProcessor, named("post_processor")));
  }
  if (const auto* decoder = fields.find("decoder")) {
    KVISTA_ASSIGN(parts->decoder, TokenDecoder::read(*decoder, named("decoder")));
  }
  if (const auto* addedTokens = fields.find("added_tokens")) {
    KVISTA_ASSIGN(parts->addedTokens,
                  AddedTokens::read(*addedTokens, named("added_tokens"), *parts->model, parts->normalizer.get()));
  }
  return Tokenizer(std::move(parts));
}

Result<std::vector<std::uint32_t>> Tokenizer::encode(std::string_view text, bool addSpecial,
                                                     const Listener& listener) const {
  if (const auto invalid = firstInvalidUtf8(text)) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("The text is not UTF-8 at byte {} of {}.", *invalid, text.size()),
                "Convert the text to UTF-8.");
  }
  std::vector<std::uint32_t> ids;
  PieceCache cache;
  std::vector<AddedTokens::Stretch> stretches;
  parts_->addedTokens.find(text, AddedTokens::Kind::raw, stretches);
  for (const auto& stretch : stretches) {
    if (stretch.id) {
      ids.push_back(*stretch.id);
    } else {
      const std::string_view part = text.substr(stretch.begin, stretch.end - stretch.begin);
      const Listener ofStretch = [&](std::size_t bytes) { return listener(stretch.begin + bytes); };
      KVISTA_CHECK(parts_->encodeStretch(part, stretch.begin == 0, cache, ids, listener ? ofStretch : listener));
    }
  }
  return parts_->postProcessor.apply(std::move(ids), addSpecial);
}

Result<std::string> Tokenizer::decode(const std::vector<std::uint32_t>& ids, bool skipSpecial) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    auto token = parts_->addedTokens.tokenOf(id);
    if (!token) token = parts_->model->tokenOf(id);
    if (!token || (skipSpecial && parts_->addedTokens.isSpecial(*token))) continue;
    tokens.emplace_back(*token);
  }
  if (parts_->decoder) KVISTA_CHECK(parts_->decoder->apply(tokens));
  std::string text;
  for (const std::string& token : tokens) {
    if (!parts_->decoder && !text.empty()) text += ' ';
    text += token;
  }
  return text;
}

bool Tokenizer::holds(std::uint32_t id) const { return parts_->addedTokens.tokenOf(id) || parts_->model->tokenOf(id); }

std::size_t Tokenizer::vocabularySize() const {
  const auto largest =
      std::max({parts_->model->largestId(), parts_->addedTokens.largestId(), parts_->postProcessor.largestId()});
  return largest ? std::size_t{*largest} + 1 : 0;
}

}  // namespace kvista
