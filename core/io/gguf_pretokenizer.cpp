// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// A GGUF file only names the way in which its tokenizer cuts text into words. This is what the names stand for, as the
// tokenizer.json of the models that bear them says it.
#include <array>

#include "core/io/gguf_convert.h"

namespace kvista {
namespace {

using nlohmann::json;

json split(const char* pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

json byteLevel(bool useRegex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", useRegex}};
}

json digits(bool individual) { return {{"type", "Digits"}, {"individual_digits", individual}}; }

json sequence(json parts) { return {{"type", "Sequence"}, {"pretokenizers", std::move(parts)}}; }

json splitThenBytes(const char* pattern) { return sequence(json::array({split(pattern), byteLevel(false)})); }

json gpt2() { return byteLevel(true); }

json singleDigits() { return sequence(json::array({digits(true), byteLevel(true)})); }

json llama3() {
  return splitThenBytes(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                        R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

json qwen2() {
  return splitThenBytes(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
                        R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

json seedCoder() {
  return splitThenBytes(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}|)"
                        R"( ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

json bloom() { return splitThenBytes(R"( ?[^(\s|.,!?…。，、।۔،)]+)"); }

json tekken() {
  return splitThenBytes(R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                        R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
                        R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
}

json falcon() {
  // The last two see text that is already bytes, as in the model's own file.
  return sequence(
      json::array({split(R"([\p{P}$+<=>\^`|~]+)"), byteLevel(true), digits(false), split("[0-9][0-9][0-9]")}));
}

// clang-format off: cased letters in lines as long as they are wide.
json deepseekLlm() {
  return sequence(json::array({split("[\r\n]"),
                               // Cased letters, as the model's own file lists them.
                               split("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-"
                                     "ᏽᲐ-"
                                     "ᲺᲽ-Ჿᴀ-"
                                     "ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼι"
                                     "ῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-"
                                     "ꞎꭰ-"
                                     "ꮿﬀ-ﬆﬓ-ﬗＡ-"
                                     "Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲"
                                     "𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"),
                               split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), split("\\s+$"),
                               split("[一-龥ࠀ-一가-퟿]+"), digits(true), byteLevel(false)}));
}
// clang-format on

json deepseekCoder() {
  return sequence(json::array({split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"),
                               split("[一-龥ࠀ-一가-퟿]+"), digits(true), byteLevel(false)}));
}

json deepseekV3() {
  return sequence(
      json::array({split(R"(\p{N}{1,3})"), split("[一-龥぀-ゟ゠-ヿ]+"),
                   split(R"([!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
                         R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
                   byteLevel(false)}));
}

struct Entry {
  std::string_view name;
  json (*build)();
  bool composes = false;  // normaliser NFC
  bool ignoreMerges = false;
  bool addBos = false;
};

// Those that llama.cpp's converter gives to models of the architectures read here, or that such models may borrow.
constexpr Entry kEntries[] = {
    {"default", gpt2},
    {"gpt-2", gpt2},
    {"phi-2", gpt2},
    {"mellum", gpt2},
    {"mpt", gpt2, true},
    {"olmo", gpt2, true},
    {"smollm", singleDigits},
    {"starcoder", singleDigits},
    {"refact", singleDigits},
    {"codeshell", singleDigits},
    {"command-r", singleDigits, true},
    {"minerva-7b", singleDigits},
    {"llama-bpe", llama3, false, true, true},
    {"llama3", llama3, false, true, true},
    {"llama-v3", llama3, false, true, true},
    {"falcon3", llama3, false, true, true},
    {"dbrx", llama3},
    {"smaug-bpe", llama3},
    {"chatglm-bpe", llama3},
    {"glm4", llama3},
    {"bloom", bloom},
    {"stablelm2", qwen2},
    {"qwen2", qwen2, true},
    {"deepseek-r1-qwen", qwen2, true},
    {"megrez", qwen2, true},
    {"tekken", tekken, false, true, true},
    {"seed-coder", seedCoder},
    {"falcon", falcon},
    {"deepseek-llm", deepseekLlm},
    {"deepseek-coder", deepseekCoder},
    {"deepseek-v3", deepseekV3},
};

/// With only what decides how text is cut, and what is left out spelled out.
json canonical(const json& part) {
  const std::string type = part.is_object() ? part.value("type", "") : "";
  if (type == "Sequence") {
    json parts = json::array();
    for (const char* key : {"normalizers", "pretokenizers"})
      if (part.contains(key) && part[key].is_array())
        for (const json& inner : part[key]) parts.push_back(canonical(inner));
    if (parts.empty()) return nullptr;
    return parts.size() == 1 ? parts[0] : json{{"type", type}, {"parts", std::move(parts)}};
  }
  if (type == "ByteLevel")
    return {{"type", type},
            {"add_prefix_space", part.value("add_prefix_space", json(true))},
            {"use_regex", part.value("use_regex", json(true))}};
  return part;
}

}  // namespace

std::optional<std::string_view> ggufPreTokenizerNameOf(const json& tokenizer, bool ignoreMerges) {
  const json normalizer = canonical(tokenizer.value("normalizer", json()));
  const json preTokenizer = canonical(tokenizer.value("pre_tokenizer", json()));
  for (const Entry& entry : kEntries) {
    if (entry.name == "default") continue;  // what llama.cpp takes it for is none of those here
    if (entry.ignoreMerges == ignoreMerges && normalizer == (entry.composes ? json{{"type", "NFC"}} : json()) &&
        preTokenizer == canonical(entry.build()))
      return entry.name;
  }
  return std::nullopt;
}

std::optional<GgufPreTokenizer> ggufPreTokenizer(std::string_view name) {
  for (const Entry& entry : kEntries)
    if (entry.name == name)
      return GgufPreTokenizer{entry.composes ? json{{"type", "NFC"}} : json(), entry.build(), entry.ignoreMerges,
                              entry.addBos};
  return std::nullopt;
}

std::string ggufPreTokenizerNames() {
  std::string names;
  for (const Entry& entry : kEntries) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

}  // namespace kvista
