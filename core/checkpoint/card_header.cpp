// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/card_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/io/mapped_file.h"

namespace kvista {

namespace {

constexpr std::size_t kMostHeaderBytes = std::size_t{64} << 10;
constexpr std::size_t kMostEntries = 100, kMostBytesOfText = 200;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// A text of one line, in quotes or without.
std::optional<std::string> scalarOf(std::string_view text) {
  text = trimmed(text);
  if (const bool isQuoted = !text.empty() && (text.front() == '"' || text.front() == '\''); isQuoted) {
    const char quote = text.front();
    const std::size_t end = text.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = trimmed(text.substr(end + 1));
    if (!rest.empty() && rest.front() != '#') return std::nullopt;
    text = text.substr(1, end - 1);
    if (text.find('\\') != std::string_view::npos) return std::nullopt;
  } else {
    if (const std::size_t comment = text.find(" #"); comment != std::string_view::npos)
      text = trimmed(text.substr(0, comment));
    if (!text.empty() && std::string_view("&*!|>{}[]%@`#,?").find(text.front()) != std::string_view::npos)
      return std::nullopt;
    if (text.find(": ") != std::string_view::npos || text == "null" || text == "~") return std::nullopt;
  }
  const bool isPlain = std::ranges::none_of(
      text, [](char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; });
  if (text.empty() || text.size() > kMostBytesOfText || !isPlain) return std::nullopt;
  return std::string(text);
}

void add(std::vector<std::string>& list, std::string_view text) {
  if (auto value = scalarOf(text); value && list.size() < kMostEntries) list.push_back(std::move(*value));
}

/// Takes the first line off.
std::string_view takeLine(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::vector<std::string> valuesOf(std::string_view sameLine, std::string_view& following) {
  std::vector<std::string> values;
  sameLine = trimmed(sameLine);
  if (sameLine.starts_with('[') && sameLine.ends_with(']')) {
    sameLine = sameLine.substr(1, sameLine.size() - 2);
    while (!sameLine.empty()) {
      const std::size_t end = std::min(sameLine.find(','), sameLine.size());
      add(values, sameLine.substr(0, end));
      sameLine.remove_prefix(std::min(end + 1, sameLine.size()));
    }
  } else if (!sameLine.empty() && sameLine.front() != '#') {
    add(values, sameLine);
  } else {
    while (trimmed(following).starts_with('-') && !following.starts_with("---")) {
      const std::string_view entry = trimmed(takeLine(following));
      if (entry.starts_with("- ")) add(values, entry.substr(2));
    }
  }
  return values;
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

CardHeader readCardHeader(std::string_view card) {
  card = card.substr(0, kMostHeaderBytes);
  if (card.starts_with("\xEF\xBB\xBF")) card.remove_prefix(3);
  if (trimmed(takeLine(card)) != "---") return {};
  CardHeader header;
  while (!card.empty()) {
    const std::string_view line = takeLine(card);
    if (trimmed(line) == "---") return header;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);  // one that is indented belongs to something else
    const auto one = [&](std::string& field) {
      if (auto values = valuesOf(line.substr(colon + 1), card); !values.empty()) field = std::move(values.front());
    };
    const auto many = [&](std::vector<std::string>& field) { field = valuesOf(line.substr(colon + 1), card); };
    if (key == "license") one(header.license);
    if (key == "license_name") one(header.licenseName);
    if (key == "license_link") one(header.licenseLink);
    if (key == "base_model") many(header.baseModels);
    if (key == "language") many(header.languages);
    if (key == "tags") many(header.tags);
  }
  return {};  // it has no end: what was read is something else
}

Result<CardHeader> cardHeaderOf(const Checkpoint& checkpoint) {
  std::error_code ignored;
  const std::filesystem::path& place = checkpoint.companions();
  if (checkpoint.format == Checkpoint::Format::gguf) return CardHeader{};
  const std::filesystem::path file =
      (std::filesystem::is_directory(place, ignored) ? place : place.parent_path()) / "README.md";
  if (!std::filesystem::is_regular_file(file, ignored)) return CardHeader{};
  KVISTA_ASSIGN(const MappedFile mapped, MappedFile::open(file));
  return readCardHeader({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()});
}

std::string writeCardHeader(const CardHeader& header) {
  std::string text = "---\n";
  const auto one = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) text += fmt::format("{}: {}\n", key, quoted(value));
  };
  const auto many = [&](std::string_view key, const std::vector<std::string>& values) {
    if (!values.empty()) text += fmt::format("{}:\n", key);
    for (const std::string& value : values) text += fmt::format("- {}\n", quoted(value));
  };
  one("license", header.license);
  one("license_name", header.licenseName);
  one("license_link", header.licenseLink);
  many("base_model", header.baseModels);
  many("language", header.languages);
  one("library_name", "transformers");
  many("tags", header.tags);
  return text + "---\n";
}

}  // namespace kvista
