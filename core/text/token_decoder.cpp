// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/token_decoder.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/text/byte_alphabet.h"
#include "core/text/metaspace.h"
#include "core/text/pattern.h"
#include "core/text/tokenizer_fields.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::string_view kSupported =
    "Sequence, ByteLevel, Metaspace, ByteFallback, Fuse, Strip, Replace, BPEDecoder";

using Tokens = std::vector<std::string>;
using DecoderResult = Result<std::unique_ptr<TokenDecoder>>;

template <class Function>
class Simple final : public TokenDecoder {
 public:
  explicit Simple(Function function) : function_(std::move(function)) {}
  Result<void> apply(Tokens& tokens) const override { return function_(tokens); }

 private:
  Function function_;
};

template <class Function>
DecoderResult simple(Function function) {
  return std::make_unique<Simple<Function>>(std::move(function));
}

std::string joined(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

/// A token with a character outside of the byte alphabet stands for its own UTF-8.
Result<void> decodeByteLevel(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += bytesOfLetters(token).value_or(token);
  tokens = {replaceInvalidUtf8(bytes)};
  return {};
}

/// The byte of "<0xNN>".
std::optional<char> byteOfToken(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  const char* end = token.data() + 5;
  const auto [stop, error] = std::from_chars(token.data() + 3, end, value, 16);
  return error == std::errc() && stop == end ? std::optional(static_cast<char>(value)) : std::nullopt;
}

/// A run of byte tokens that is not UTF-8 as a whole becomes one U+FFFD for each of its bytes.
Result<void> decodeByteFallback(Tokens& tokens) {
  Tokens result;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (firstInvalidUtf8(run)) {
      for (std::size_t i = 0; i < run.size(); ++i) result.emplace_back("\uFFFD");
    } else {
      result.push_back(run);
    }
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byteOfToken(token)) {
      run += *byte;
    } else {
      flush();
      result.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(result);
  return {};
}

DecoderResult readMetaspace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(Metaspace metaspace, Metaspace::read(fields));
  return simple([metaspace = std::move(metaspace)](Tokens& tokens) -> Result<void> {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool drop = i == 0 && metaspace.scheme != Metaspace::Scheme::never;
      std::string text;
      for (std::size_t begin = 0; begin < tokens[i].size();) {
        const std::size_t length = utf8Length(static_cast<unsigned char>(tokens[i][begin]));
        if (tokens[i].compare(begin, length, metaspace.replacement) != 0) {
          text.append(tokens[i], begin, length);
        } else if (!drop) {
          text += ' ';
        }
        begin += length;
      }
      tokens[i] = std::move(text);
    }
    return {};
  });
}

DecoderResult readStrip(const TokenizerFields& fields) {
  KVISTA_ASSIGN(const std::string content, fields.character("content", " "));
  KVISTA_ASSIGN(const std::uint32_t start, fields.number("start", 0));
  KVISTA_ASSIGN(const std::uint32_t stop, fields.number("stop", 0));
  return simple([content, start, stop](Tokens& tokens) -> Result<void> {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::uint32_t i = 0; i < start && rest.starts_with(content); ++i) rest.remove_prefix(content.size());
      for (std::uint32_t i = 0; i < stop && rest.ends_with(content); ++i) rest.remove_suffix(content.size());
      token = std::string(rest);
    }
    return {};
  });
}

DecoderResult readReplace(const TokenizerFields& fields) {
  KVISTA_ASSIGN(TextPattern pattern, TextPattern::read(fields, "pattern"));
  KVISTA_ASSIGN(std::string content, fields.text("content"));
  return simple([pattern = std::move(pattern), content = std::move(content)](Tokens& tokens) -> Result<void> {
    for (std::string& token : tokens) {
      KVISTA_ASSIGN(token, replaceMatches(pattern, token, content));
    }
    return {};
  });
}

/// Old BPE: a suffix marks the end of a word.
DecoderResult readBpeDecoder(const TokenizerFields& fields) {
  KVISTA_ASSIGN(const std::string suffix, fields.text("suffix", "</w>"));
  if (suffix.empty()) return fields.wrong("suffix", "a string that is not empty");
  return simple([suffix](Tokens& tokens) -> Result<void> {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string_view space = i + 1 == tokens.size() ? "" : " ";
      std::string text;
      std::size_t begin = 0;
      for (std::size_t end = tokens[i].find(suffix); end != std::string::npos; end = tokens[i].find(suffix, begin)) {
        text.append(tokens[i], begin, end - begin).append(space);
        begin = end + suffix.size();
      }
      tokens[i] = text.append(tokens[i], begin);
    }
    return {};
  });
}

DecoderResult readSequence(const TokenizerFields& fields, int depth) {
  KVISTA_ASSIGN(const auto* list, fields.array("decoders"));
  if (depth >= kMaximumSequenceDepth) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: sequences are nested deeper than {}.", fields.where(), depth));
  }
  std::vector<std::unique_ptr<TokenDecoder>> parts;
  for (std::size_t i = 0; i < list->size(); ++i) {
    KVISTA_ASSIGN(auto part, TokenDecoder::read((*list)[i], fmt::format("{}[{}]", fields.where(), i), depth + 1));
    parts.push_back(std::move(part));
  }
  return simple([parts = std::move(parts)](Tokens& tokens) -> Result<void> {
    for (const auto& part : parts) KVISTA_CHECK(part->apply(tokens));
    return {};
  });
}

}  // namespace

DecoderResult TokenDecoder::read(const nlohmann::json& json, std::string where, int depth) {
  KVISTA_ASSIGN(const auto fields, TokenizerFields::of(json, std::move(where)));
  KVISTA_ASSIGN(const std::string type, fields.text("type"));
  if (type == "Sequence") return readSequence(fields, depth);
  if (type == "ByteLevel") return simple(decodeByteLevel);
  if (type == "Metaspace") return readMetaspace(fields);
  if (type == "ByteFallback") return simple(decodeByteFallback);
  if (type == "Strip") return readStrip(fields);
  if (type == "Replace") return readReplace(fields);
  if (type == "BPEDecoder") return readBpeDecoder(fields);
  if (type == "Fuse") {
    return simple([](Tokens& tokens) -> Result<void> {
      tokens = {joined(tokens)};
      return {};
    });
  }
  return unsupportedType(fields.where(), type, kSupported);
}

}  // namespace kvista
