// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/io/gguf_convert.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr std::string_view kSpace = "\u2581";  // what stands for a space in SentencePiece

/// Types of tokens as GGUF numbers them.
enum class TokenType : std::int32_t { normal = 1, unknown = 2, control = 3, userDefined = 4, unused = 5, byte = 6 };

tl::unexpected<Error> unsupported(const std::string& what) {
  return fail(ErrorCode::unsupportedModel, fmt::format("The tokenizer cannot be written into a GGUF file: {}.", what),
              "Export with --container safetensors.");
}

/// A member, or null.
const json& member(const json& object, const char* key) {
  static const json null;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : null;
}

std::string text(const json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }
bool flag(const json& value, bool absent) { return value.is_boolean() ? value.get<bool>() : absent; }

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::unordered_map<std::string, std::size_t> ids;
  std::size_t leftOut = 0;     // tokens that the embedding has no rows for
  std::size_t swallowing = 0;  // added tokens that take white space along
};

class VocabularyReader {
 public:
  VocabularyReader(const json& tokenizer, std::size_t rows) : tokenizer_(tokenizer) {
    out_.tokens.resize(rows);
    out_.types.assign(rows, static_cast<std::int32_t>(TokenType::unused));
    isGiven_.resize(rows);
  }

  Result<Vocabulary> read(bool hasBytes) {
    const json& model = member(tokenizer_, "model");
    const json& vocabulary = member(model, "vocab");
    if (!vocabulary.is_object()) return unsupported("model.vocab of tokenizer.json is not an object");
    for (const auto& [token, id] : vocabulary.items()) {
      const bool isByte = hasBytes && token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
      KVISTA_CHECK(add(token, id, isByte ? TokenType::byte : TokenType::normal));
    }
    for (const json& added : member(tokenizer_, "added_tokens")) {
      const json& content = member(added, "content");
      if (!content.is_string()) return unsupported("an entry of added_tokens in tokenizer.json has no content");
      KVISTA_CHECK(add(content, member(added, "id"),
                       flag(member(added, "special"), false) ? TokenType::control : TokenType::userDefined));
      if (flag(member(added, "lstrip"), false) || flag(member(added, "rstrip"), false)) ++out_.swallowing;
    }
    if (const auto unknown = out_.ids.find(text(member(model, "unk_token"))); hasBytes && unknown != out_.ids.end())
      out_.types[unknown->second] = static_cast<std::int32_t>(TokenType::unknown);
    for (std::size_t id = 0; id < out_.tokens.size(); ++id)
      if (!isGiven_[id]) {
        out_.tokens[id] = fmt::format("[PAD{}]", id);
        while (!out_.ids.emplace(out_.tokens[id], id).second) out_.tokens[id] += '_';
      }
    return std::move(out_);
  }

 private:
  Result<void> add(const std::string& token, const json& id, TokenType type) {
    if (!id.is_number_unsigned())
      return unsupported(fmt::format("the id of token {} is no number", quoteForMessage(token)));
    const auto place = id.get<std::uint64_t>();
    if (place >= out_.tokens.size()) {
      ++out_.leftOut;
      return {};
    }
    const auto [entry, isNew] = out_.ids.emplace(token, place);
    if (entry->second != place || (isNew && isGiven_[place]))
      return unsupported(fmt::format("token {} and id {} are given twice", quoteForMessage(token), place));
    isGiven_[place] = true;
    out_.tokens[place] = token;
    out_.types[place] = static_cast<std::int32_t>(type);
    return {};
  }

  const json& tokenizer_;
  Vocabulary out_;
  std::vector<bool> isGiven_;
};

using Merge = std::pair<std::string, std::string>;

Result<std::vector<Merge>> readMerges(const json& model) {
  std::vector<Merge> out;
  for (const json& merge : member(model, "merges")) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      out.emplace_back(merge[0], merge[1]);
      continue;
    }
    const std::string both = text(merge);
    const std::size_t cut = both.find(' ');
    if (cut == 0 || cut == std::string::npos)
      return unsupported(fmt::format("merge {} of tokenizer.json is not two tokens", out.size()));
    out.emplace_back(both.substr(0, cut), both.substr(cut + 1));
  }
  return out;
}

/// SentencePiece goes by a score of what a merge makes, Hugging Face by a rank of the merge: the same where all merges
/// that make a token stand together, and where none is missing.
Result<std::vector<float>> scoresOf(const std::vector<Merge>& merges, const Vocabulary& vocabulary) {
  std::vector<float> scores(vocabulary.tokens.size(), -static_cast<float>(merges.size()) - 1);
  std::vector<std::size_t> made(vocabulary.tokens.size());  // by how many merges
  std::size_t before = vocabulary.tokens.size();
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto found = vocabulary.ids.find(merges[rank].first + merges[rank].second);
    if (found == vocabulary.ids.end()) continue;  // left out
    const std::size_t token = found->second;
    if (token != before && made[token] > 0)
      return unsupported(fmt::format("its merges that make {} do not stand together, which scores of tokens cannot say",
                                     quoteForMessage(found->first)));
    if (made[token]++ == 0) scores[token] = -static_cast<float>(rank);
    before = token;
  }
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != static_cast<std::int32_t>(TokenType::normal)) continue;
    const std::string& token = vocabulary.tokens[id];
    std::size_t splits = 0;
    for (std::size_t cut = 1; cut < token.size(); ++cut)
      if ((static_cast<unsigned char>(token[cut]) & 0xc0) != 0x80 && vocabulary.ids.contains(token.substr(0, cut)) &&
          vocabulary.ids.contains(token.substr(cut)))
        ++splits;
    if (splits != made[id])
      return unsupported(
          fmt::format("{} of {} pairs of tokens that make {} are merged, and a vocabulary with scores merges all",
                      made[id], splits, quoteForMessage(token)));
  }
  return scores;
}

/// What text becomes before SentencePiece's merges: whether it gets a space in front. Refuses what is not known.
Result<bool> readSpacePrefix(const json& tokenizer) {
  json normalizers = member(tokenizer, "normalizer");
  if (text(member(normalizers, "type")) == "Sequence") normalizers = member(normalizers, "normalizers");
  if (!normalizers.is_array()) normalizers = normalizers.is_null() ? json::array() : json::array({normalizers});
  bool isPrefixed = false, isReplaced = false;
  for (const json& normalizer : normalizers) {
    const std::string type = text(member(normalizer, "type"));
    if (type == "Prepend" && text(member(normalizer, "prepend")) == kSpace && !isReplaced)
      isPrefixed = true;
    else if (type == "Replace" && text(member(member(normalizer, "pattern"), "String")) == " " &&
             text(member(normalizer, "content")) == kSpace)
      isReplaced = true;
    else
      return unsupported(fmt::format("its normalizer {} has no place beside scores of tokens", type));
  }
  const json& pre = member(tokenizer, "pre_tokenizer");
  const std::string type = text(member(pre, "type"));
  const bool isWithoutEffect =
      pre.is_null() || (type == "Split" && text(member(member(pre, "pattern"), "String")) == " ");
  if (isReplaced && isWithoutEffect) return isPrefixed;
  if (type == "Metaspace" && normalizers.empty() && text(member(pre, "replacement")) == kSpace &&
      !flag(member(pre, "split"), true)) {
    const std::string scheme = text(member(pre, "prepend_scheme"));
    return scheme.empty() ? flag(member(pre, "add_prefix_space"), true) : scheme != "never";
  }
  return unsupported("it does not treat spaces as SentencePiece does");
}

/// Ids before and after a text, by the post-processor.
struct Template {
  std::vector<std::size_t> before, after;
};

Template readTemplate(const json& processor, const Vocabulary& vocabulary) {
  Template out;
  if (text(member(processor, "type")) == "Sequence") {
    for (const json& part : member(processor, "processors")) {
      Template inner = readTemplate(part, vocabulary);
      out.before.insert(out.before.begin(), inner.before.begin(), inner.before.end());
      out.after.insert(out.after.end(), inner.after.begin(), inner.after.end());
    }
  }
  if (text(member(processor, "type")) != "TemplateProcessing") return out;
  bool isBehind = false;
  for (const json& piece : member(processor, "single")) {
    if (!member(piece, "Sequence").is_null()) isBehind = true;
    const auto found = vocabulary.ids.find(text(member(member(piece, "SpecialToken"), "id")));
    if (found != vocabulary.ids.end()) (isBehind ? out.after : out.before).push_back(found->second);
  }
  return out;
}

std::optional<std::size_t> roleOf(const json& tokenizerConfig, const char* key, const Vocabulary& vocabulary) {
  const json& token = member(tokenizerConfig, key);
  const auto found = vocabulary.ids.find(text(token.is_object() ? member(token, "content") : token));
  return found == vocabulary.ids.end() ? std::nullopt : std::optional(found->second);
}

/// The template called "default" where there are several.
std::string chatTemplate(const json& tokenizerConfig) {
  const json& given = member(tokenizerConfig, "chat_template");
  if (!given.is_array()) return text(given);
  for (const json& named : given)
    if (text(member(named, "name")) == "default") return text(member(named, "template"));
  return {};
}

void addRoles(const GgufTokenizer& files, const Vocabulary& vocabulary, const std::vector<std::size_t>& eosIds,
              GgufMetadata& metadata, std::vector<std::string>& notes) {
  const Template around = readTemplate(member(files.tokenizer, "post_processor"), vocabulary);
  auto bos = roleOf(files.tokenizerConfig, "bos_token", vocabulary);
  auto eos = roleOf(files.tokenizerConfig, "eos_token", vocabulary);
  if (around.before.size() == 1) bos = around.before.front();
  if (around.after.size() == 1) eos = around.after.front();
  if (!eos && !eosIds.empty()) eos = eosIds.front();
  if (around.before.size() > 1 || around.after.size() > 1)
    notes.push_back(fmt::format(
        "A GGUF file can put one token before a text and one behind it; the tokenizer's {} and {} are left out.",
        around.before.size(), around.after.size()));
  const auto set = [&](const char* key, std::optional<std::size_t> id) {
    if (id && *id < vocabulary.tokens.size()) metadata.set(key, static_cast<std::uint32_t>(*id));
  };
  set("tokenizer.ggml.bos_token_id", bos);
  set("tokenizer.ggml.eos_token_id", eos);
  set("tokenizer.ggml.unknown_token_id", roleOf(files.tokenizerConfig, "unk_token", vocabulary));
  set("tokenizer.ggml.padding_token_id", roleOf(files.tokenizerConfig, "pad_token", vocabulary));
  const auto other = std::ranges::find_if(eosIds, [&](std::size_t id) { return eos && id != *eos; });
  if (other != eosIds.end()) set("tokenizer.ggml.eot_token_id", *other);
  metadata.set("tokenizer.ggml.add_bos_token", around.before.size() == 1);
  metadata.set("tokenizer.ggml.add_eos_token", around.after.size() == 1);
  if (std::string chat = chatTemplate(files.tokenizerConfig); !chat.empty())
    metadata.set("tokenizer.chat_template", std::move(chat));
}

}  // namespace

Result<std::vector<std::string>> addGgufVocabulary(const GgufTokenizer& files, std::size_t rows,
                                                   const std::vector<std::size_t>& eosIds, GgufMetadata& metadata) {
  if (files.tokenizer.is_null()) {
    metadata.set("tokenizer.ggml.model", std::string("no_vocab"));
    return std::vector<std::string>{
        "The model has no tokenizer, so the file has no vocabulary: programs can give it ids only."};
  }
  const json& model = member(files.tokenizer, "model");
  const std::string kind = text(member(model, "type"));
  const bool hasMerges = kind == "BPE" || (kind.empty() && member(model, "merges").is_array());
  if (!hasMerges) return unsupported(fmt::format("it is of the kind {}, and only BPE is known", kind));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!text(member(model, key)).empty()) return unsupported(fmt::format("its model has a {}", key));
  const bool hasBytes = flag(member(model, "byte_fallback"), false);
  KVISTA_ASSIGN(const Vocabulary vocabulary, VocabularyReader(files.tokenizer, rows).read(hasBytes));
  KVISTA_ASSIGN(const std::vector<Merge> merges, readMerges(model));
  std::vector<std::string> notes;

  metadata.set("tokenizer.ggml.model", std::string(hasBytes ? "llama" : "gpt2"));
  if (hasBytes) {
    KVISTA_ASSIGN(const bool isPrefixed, readSpacePrefix(files.tokenizer));
    KVISTA_ASSIGN(std::vector<float> scores, scoresOf(merges, vocabulary));
    metadata.set("tokenizer.ggml.add_space_prefix", isPrefixed);
    metadata.set("tokenizer.ggml.scores", std::move(scores));
  } else {
    const auto name = ggufPreTokenizerNameOf(files.tokenizer, flag(member(model, "ignore_merges"), false));
    if (!name)
      return unsupported(
          fmt::format("its way of cutting text into words (normalizer and pre_tokenizer of tokenizer.json) has no name "
                      "that is known; names are: {}",
                      ggufPreTokenizerNames()));
    metadata.set("tokenizer.ggml.pre", std::string(*name));
    std::vector<std::string> joined;
    for (const auto& [left, right] : merges) joined.push_back(fmt::format("{} {}", left, right));
    metadata.set("tokenizer.ggml.merges", std::move(joined));
  }
  metadata.set("tokenizer.ggml.tokens", vocabulary.tokens);
  metadata.set("tokenizer.ggml.token_type", vocabulary.types);
  addRoles(files, vocabulary, eosIds, metadata, notes);
  if (vocabulary.leftOut > 0)
    notes.push_back(fmt::format("{} of the tokenizer's tokens are left out: the model has no embedding for them.",
                                vocabulary.leftOut));
  if (vocabulary.swallowing > 0)
    notes.push_back(fmt::format(
        "{} of the tokenizer's added tokens take white space beside them along, which a GGUF file cannot say.",
        vocabulary.swallowing));
  return notes;
}

}  // namespace kvista
