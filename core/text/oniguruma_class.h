// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvista {

/// A set of characters in PCRE2's terms: what stands between the brackets of a class, and whether the set is its
/// complement.
struct CharacterSet {
  std::string items;
  bool negated = false;

  [[nodiscard]] std::string asClass() const { return (negated ? "[^" : "[") + items + "]"; }
  CharacterSet& invert(bool yes = true) {
    negated ^= yes;
    return *this;
  }
};

/// A character as PCRE2 takes it inside and outside of a class, whatever it means there.
std::string quotedCharacter(char32_t character);
/// \d, \s, \w, \h and their complements; nothing for another letter.
std::optional<CharacterSet> shorthandSet(char letter);
/// The set of \p{name}, by Oniguruma's names (case, spaces, '-' and '_' do not matter; a leading '^' complements).
std::optional<CharacterSet> propertySet(std::string_view name);
/// The set of [:name:] within a class.
std::optional<CharacterSet> bracketSet(std::string_view name);

}  // namespace kvista
