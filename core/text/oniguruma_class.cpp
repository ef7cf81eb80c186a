// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/oniguruma_class.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kvista {
namespace {

using Name = std::pair<std::string_view, std::string_view>;

constexpr std::array<Name, 40> kLongCategories = {{
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"otherpunctuation", "Po"},
    {"symbol", "S"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"other", "C"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"unassigned", "Cn"},
    {"privateuse", "Co"},
    {"surrogate", "Cs"},
    {"punct", "P"},
    {"cntrl", "Cc"},
}};

/// What each set holds was compared with Oniguruma over all code points.
constexpr std::array<Name, 15> kNamedSets = {{
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"any", "\\x{0}-\\x{10FFFF}"},
    {"ascii", "\\x{0}-\\x{7F}"},
    {"blank", "\\p{Zs}\\x{9}"},
    {"casedletter", "\\p{Lu}\\p{Ll}\\p{Lt}"},
    {"digit", "\\p{Nd}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"lc", "\\p{Lu}\\p{Ll}\\p{Lt}"},
    {"lower", "\\p{Lowercase}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"space", "\\p{White_Space}"},
    {"upper", "\\p{Uppercase}"},
    {"word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"},
    {"xdigit", "0-9A-Fa-f"},
}};

template <std::size_t size>
std::string_view lookUp(const std::array<Name, size>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name, &Name::first);
  return found == names.end() ? std::string_view{} : found->second;
}

std::string simplified(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-') continue;
    result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

bool compiles(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

}  // namespace

std::string quotedCharacter(char32_t c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return alphanumeric ? std::string(1, static_cast<char>(c))
                      : fmt::format("\\x{{{:X}}}", static_cast<std::uint32_t>(c));
}

std::optional<CharacterSet> shorthandSet(char letter) {
  switch (letter) {
    case 'd':
    case 'D':
      return CharacterSet{"\\p{Nd}", letter == 'D'};
    case 's':
    case 'S':
      return CharacterSet{"\\p{White_Space}", letter == 'S'};
    case 'w':
    case 'W':  // [:word:] and the six fractions and superscripts of Latin-1.
      return CharacterSet{"\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}", letter == 'W'};
    case 'h':
    case 'H':
      return CharacterSet{"0-9A-Fa-f", letter == 'H'};
    default:
      return std::nullopt;
  }
}

std::optional<CharacterSet> bracketSet(std::string_view name) {
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  if (name == "punct") return CharacterSet{"\\p{P}\\p{S}", negated};
  if (name == "cntrl") return CharacterSet{"\\p{Cc}", negated};
  if (name == "any" || name == "casedletter" || name == "lc") return std::nullopt;
  const std::string_view items = lookUp(kNamedSets, name);
  if (items.empty()) return std::nullopt;
  return CharacterSet{std::string(items), negated};
}

std::optional<CharacterSet> propertySet(std::string_view name) {
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const bool plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '_' ||
           c == '-';
  });
  std::string simple = simplified(name);
  if (!plain || simple.empty() || simple.size() > 60) return std::nullopt;
  if (const auto items = lookUp(kNamedSets, simple); !items.empty()) return CharacterSet{std::string(items), negated};
  if (const auto category = lookUp(kLongCategories, simple); !category.empty()) {
    return CharacterSet{fmt::format("\\p{{{}}}", category), negated};
  }
  if (simple.size() <= 2) {  // A general category by its letters; PCRE2 wants their case right.
    simple[0] = static_cast<char>(simple[0] - 'a' + 'A');
    const std::string item = fmt::format("\\p{{{}}}", simple);
    return compiles(item) ? std::optional(CharacterSet{item, negated}) : std::nullopt;
  }
  // A bare script name means script extensions to PCRE2, but the script itself to Oniguruma.
  for (const std::string& item : {fmt::format("\\p{{sc:{}}}", simple), fmt::format("\\p{{{}}}", simple)}) {
    if (compiles(item)) return CharacterSet{item, negated};
  }
  return std::nullopt;
}

}  // namespace kvista
