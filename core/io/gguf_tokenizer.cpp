// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/io/gguf_convert.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr std::size_t kMaximumVocabulary = 1 << 20;
constexpr std::size_t kMaximumMerges = 1 << 21;
constexpr std::size_t kMaximumMergedLength = 256;  // bytes; SentencePiece's own limit is 16 characters
constexpr std::string_view kSpace = "\u2581";      // what stands for a space in SentencePiece

enum class TokenType { normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 };

struct Vocabulary {
  std::vector<std::string_view> tokens;
  std::vector<TokenType> types;  // one a token
  std::unordered_map<std::string_view, std::size_t> ids;
};

/// Ids of tokens with a role, and whether the post-processor adds them.
struct SpecialTokens {
  std::optional<std::size_t> bos, eos, unknown, padding;
  bool addBos = false, addEos = false;
};

Result<Vocabulary> readVocabulary(const GgufFile& file) {
  Vocabulary out;
  KVISTA_ASSIGN(out.tokens, file.texts("tokenizer.ggml.tokens", kMaximumVocabulary));
  if (out.tokens.empty()) return file.corrupt("metadata key 'tokenizer.ggml.tokens' is missing or empty.");
  KVISTA_ASSIGN(const auto types, file.numbers("tokenizer.ggml.token_type", kMaximumVocabulary));
  if (!types.empty() && types.size() != out.tokens.size())
    return file.corrupt(fmt::format("metadata key 'tokenizer.ggml.token_type' has {} entries for {} tokens.",
                                    types.size(), out.tokens.size()));
  out.types.assign(out.tokens.size(), TokenType::normal);
  for (std::size_t id = 0; id < types.size(); ++id) {
    if (!(types[id] >= 1 && types[id] <= 6))
      return file.corrupt(fmt::format("token {} has type {}; 1 to 6 are defined.", id, types[id]));
    out.types[id] = static_cast<TokenType>(static_cast<int>(types[id]));
  }
  out.ids.reserve(out.tokens.size());
  for (std::size_t id = 0; id < out.tokens.size(); ++id) {
    const auto [entry, isNew] = out.ids.emplace(out.tokens[id], id);
    if (!isNew)
      return file.corrupt(
          fmt::format("tokens {} and {} are the same: '{}'.", entry->second, id, printable(out.tokens[id])));
  }
  return out;
}

Result<std::optional<std::size_t>> readTokenId(const GgufFile& file, std::string_view key, std::size_t vocabularySize) {
  KVISTA_ASSIGN(const auto id, file.integer(key));
  if (!id) return std::nullopt;
  // llama.cpp's "none" is -1 in 32 bits.
  if (*id == 0xffffffff) return std::nullopt;
  if (static_cast<std::uint64_t>(*id) >= vocabularySize)
    return file.corrupt(fmt::format("metadata key '{}' is {}, but there are {} tokens.", key, *id, vocabularySize));
  return static_cast<std::size_t>(*id);
}

Result<SpecialTokens> readSpecialTokens(const GgufFile& file, std::size_t vocabularySize, bool addBosByDefault) {
  SpecialTokens out;
  KVISTA_ASSIGN(out.bos, readTokenId(file, "tokenizer.ggml.bos_token_id", vocabularySize));
  KVISTA_ASSIGN(out.eos, readTokenId(file, "tokenizer.ggml.eos_token_id", vocabularySize));
  KVISTA_ASSIGN(out.unknown, readTokenId(file, "tokenizer.ggml.unknown_token_id", vocabularySize));
  KVISTA_ASSIGN(out.padding, readTokenId(file, "tokenizer.ggml.padding_token_id", vocabularySize));
  KVISTA_ASSIGN(const auto addBos, file.boolean("tokenizer.ggml.add_bos_token"));
  KVISTA_ASSIGN(const auto addEos, file.boolean("tokenizer.ggml.add_eos_token"));
  if (addBos.value_or(false) && !out.bos)
    return file.corrupt(
        "metadata key 'tokenizer.ggml.add_bos_token' is true, but 'tokenizer.ggml.bos_token_id' is missing.");
  if (addEos.value_or(false) && !out.eos)
    return file.corrupt(
        "metadata key 'tokenizer.ggml.add_eos_token' is true, but 'tokenizer.ggml.eos_token_id' is missing.");
  out.addBos = addBos.value_or(addBosByDefault && out.bos);
  out.addEos = addEos.value_or(false);
  return out;
}

json vocabularyJson(const Vocabulary& vocabulary) {
  json::object_t out;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) out.emplace(vocabulary.tokens[id], id);
  return out;
}

json addedTokensJson(const Vocabulary& vocabulary) {
  json::array_t out;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    const bool isSpecial = type == TokenType::control || type == TokenType::unknown;
    if ((!isSpecial && type != TokenType::userDefined) || vocabulary.tokens[id].empty()) continue;
    out.push_back({{"id", id},
                   {"content", vocabulary.tokens[id]},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", isSpecial}});
  }
  return out;
}

/// Adds BOS before and EOS after a text, and both to each of a pair; null when neither is wanted.
json postProcessorJson(const Vocabulary& vocabulary, const SpecialTokens& special) {
  if (!special.addBos && !special.addEos) return nullptr;
  json tokens = json::object();
  const auto token = [&](std::size_t id, int typeId) {
    const std::string name(vocabulary.tokens[id]);
    tokens[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    return json{{"SpecialToken", {{"id", name}, {"type_id", typeId}}}};
  };
  json single = json::array();
  json pair = json::array();
  for (const auto& [part, typeId] : {std::pair{"A", 0}, std::pair{"B", 1}}) {
    json around = json::array();
    if (special.addBos) around.push_back(token(*special.bos, typeId));
    around.push_back({{"Sequence", {{"id", part}, {"type_id", typeId}}}});
    if (special.addEos) around.push_back(token(*special.eos, typeId));
    if (typeId == 0) single = around;
    pair.insert(pair.end(), around.begin(), around.end());
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

/// Two tokens whose union is a token: where the union is cut, and what ranks it.
struct Merge {
  std::size_t id = 0;  // of the merged token
  std::size_t leftBytes = 0;
  std::size_t leftCharacters = 0;
  double score = 0;
};

/// SentencePiece merges the pair whose union scores highest; ranking all pairs of tokens whose union is a token by
/// that score gives the same order to a BPE that goes by rank. Ties: the longer left part first, as Hugging Face's
/// converter has them.
Result<json> mergesFromScores(const GgufFile& file, const Vocabulary& vocabulary, const std::vector<double>& scores) {
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string_view token = vocabulary.tokens[id];
    const TokenType type = vocabulary.types[id];
    if (type != TokenType::normal && type != TokenType::unused) continue;
    // A space in the text has become kSpace when merges are looked for.
    if (token.find(' ') != std::string_view::npos) continue;
    if (token.size() > kMaximumMergedLength)
      return file.unsupported(
          fmt::format("token {} is {} bytes long; at most {} are supported.", id, token.size(), kMaximumMergedLength));
    std::size_t characters = 1;
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if ((static_cast<unsigned char>(token[cut]) & 0xc0) == 0x80) continue;  // within a character
      if (vocabulary.ids.contains(token.substr(0, cut)) && vocabulary.ids.contains(token.substr(cut)))
        merges.push_back({id, cut, characters, scores[id]});
      ++characters;
    }
    if (merges.size() > kMaximumMerges)
      return file.unsupported(
          fmt::format("its vocabulary has more than {} merges, which is not supported.", kMaximumMerges));
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return a.score != b.score ? a.score > b.score : a.leftCharacters > b.leftCharacters;
  });
  json::array_t out;
  out.reserve(merges.size());
  for (const Merge& merge : merges) {
    const std::string_view token = vocabulary.tokens[merge.id];
    out.emplace_back(fmt::format("{} {}", token.substr(0, merge.leftBytes), token.substr(merge.leftBytes)));
  }
  return out;
}

/// tokenizer.json but for normaliser, pre-tokenizer and decoder.
json tokenizerJson(const Vocabulary& vocabulary, const SpecialTokens& special, json model) {
  model["type"] = "BPE";
  model["vocab"] = vocabularyJson(vocabulary);
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", addedTokensJson(vocabulary)},
          {"post_processor", postProcessorJson(vocabulary, special)},
          {"model", std::move(model)}};
}

struct Converted {
  json tokenizer;
  SpecialTokens special;
};

/// Byte-level BPE, `tokenizer.ggml.model` "gpt2".
Result<Converted> convertByteLevel(const GgufFile& file, const Vocabulary& vocabulary) {
  KVISTA_ASSIGN(const auto named, file.text("tokenizer.ggml.pre"));
  if (!named)
    return file.unsupported(
        "it does not name its pre-tokenizer (metadata key 'tokenizer.ggml.pre'), as files made before May 2024.",
        "Convert the model again with a current llama.cpp.");
  const auto pre = ggufPreTokenizer(*named);
  if (!pre)
    return file.unsupported(
        fmt::format("the pre-tokenizer '{}' (metadata key 'tokenizer.ggml.pre') is not supported; supported: {}.",
                    printable(*named), ggufPreTokenizerNames()));
  KVISTA_ASSIGN(const auto merges, file.texts("tokenizer.ggml.merges", kMaximumMerges));
  if (file.find("tokenizer.ggml.merges") == nullptr)
    return file.corrupt("metadata key 'tokenizer.ggml.merges' is missing.");
  Converted out;
  KVISTA_ASSIGN(out.special, readSpecialTokens(file, vocabulary.tokens.size(), pre->addBos));
  out.tokenizer = tokenizerJson(vocabulary, out.special,
                                {{"dropout", nullptr},
                                 {"unk_token", nullptr},
                                 {"continuing_subword_prefix", nullptr},
                                 {"end_of_word_suffix", nullptr},
                                 {"fuse_unk", false},
                                 {"byte_fallback", false},
                                 {"ignore_merges", pre->ignoreMerges},
                                 {"merges", json::array_t(merges.begin(), merges.end())}});
  out.tokenizer["normalizer"] = pre->normalizer;
  out.tokenizer["pre_tokenizer"] = pre->preTokenizer;
  out.tokenizer["decoder"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  return out;
}

/// SentencePiece BPE, `tokenizer.ggml.model` "llama".
Result<Converted> convertSentencePiece(const GgufFile& file, const Vocabulary& vocabulary) {
  KVISTA_ASSIGN(const auto scores, file.numbers("tokenizer.ggml.scores", kMaximumVocabulary));
  if (scores.size() != vocabulary.tokens.size())
    return file.corrupt(fmt::format("metadata key 'tokenizer.ggml.scores' has {} entries for {} tokens.", scores.size(),
                                    vocabulary.tokens.size()));
  for (std::size_t id = 0; id < scores.size(); ++id)
    if (scores[id] != scores[id]) return file.corrupt(fmt::format("the score of token {} is not a number.", id));
  KVISTA_ASSIGN(const auto prefixed, file.boolean("tokenizer.ggml.add_space_prefix"));
  const bool addsPrefix = prefixed.value_or(true);
  Converted out;
  KVISTA_ASSIGN(out.special, readSpecialTokens(file, vocabulary.tokens.size(), true));
  const auto unknownType = std::find(vocabulary.types.begin(), vocabulary.types.end(), TokenType::unknown);
  if (!out.special.unknown && unknownType != vocabulary.types.end())
    out.special.unknown = static_cast<std::size_t>(unknownType - vocabulary.types.begin());
  KVISTA_ASSIGN(auto merges, mergesFromScores(file, vocabulary, scores));
  out.tokenizer =
      tokenizerJson(vocabulary, out.special,
                    {{"dropout", nullptr},
                     {"unk_token", out.special.unknown ? json(vocabulary.tokens[*out.special.unknown]) : json()},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", nullptr},
                     {"fuse_unk", true},
                     {"byte_fallback", true},
                     {"ignore_merges", false},
                     {"merges", std::move(merges)}});
  json normalizers = json::array();
  if (addsPrefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  normalizers.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}});
  out.tokenizer["normalizer"] = {{"type", "Sequence"}, {"normalizers", normalizers}};
  out.tokenizer["pre_tokenizer"] = nullptr;
  json decoders = json::array({{{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}},
                               {{"type", "ByteFallback"}},
                               {{"type", "Fuse"}}});
  if (addsPrefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  out.tokenizer["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  return out;
}

}  // namespace

Result<GgufTokenizer> ggufTokenizer(const GgufFile& file) {
  KVISTA_ASSIGN(const auto kind, file.text("tokenizer.ggml.model"));
  if (!kind || *kind == "none" || *kind == "no_vocab") return GgufTokenizer{};
  if (*kind != "gpt2" && *kind != "llama")
    return file.unsupported(
        fmt::format("the vocabulary is of kind '{}' (metadata key 'tokenizer.ggml.model'), which is "
                    "not supported; supported: gpt2, llama.",
                    printable(*kind)));
  KVISTA_ASSIGN(const auto vocabulary, readVocabulary(file));
  KVISTA_ASSIGN(auto converted,
                *kind == "gpt2" ? convertByteLevel(file, vocabulary) : convertSentencePiece(file, vocabulary));
  GgufTokenizer out;
  out.tokenizer = std::move(converted.tokenizer);
  const SpecialTokens& special = converted.special;
  // The class that reads tokenizer.json as it is; those named after a family build their own pipeline.
  out.tokenizerConfig = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"clean_up_tokenization_spaces", false},
                         {"add_bos_token", special.addBos},
                         {"add_eos_token", special.addEos}};
  for (const auto& [name, id] : {std::pair{"bos_token", special.bos}, std::pair{"eos_token", special.eos},
                                 std::pair{"unk_token", special.unknown}, std::pair{"pad_token", special.padding}})
    if (id) out.tokenizerConfig[name] = vocabulary.tokens[*id];
  KVISTA_ASSIGN(const auto chat, file.text("tokenizer.chat_template"));
  if (chat) out.tokenizerConfig["chat_template"] = *chat;
  return out;
}

}  // namespace kvista
