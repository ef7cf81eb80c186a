// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/oniguruma.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/text/oniguruma_class.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr int kMaximumDepth = 60;
constexpr std::string_view kAnyCharacter = "[\\x{0}-\\x{10FFFF}]";
constexpr std::string_view kNewlineSequence = "(?>\\x{D}\\x{A}|[\\x{A}-\\x{D}\\x{85}\\x{2028}\\x{2029}])";

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<TranslatedPattern> translate() {
    KVISTA_ASSIGN(std::string text, alternatives());
    if (!atEnd()) return refuse("unmatched )");
    return TranslatedPattern{std::move(text), hasNamedGroups_};
  }

 private:
  [[nodiscard]] tl::unexpected<Error> refuse(std::string_view why) const {
    return fail(ErrorCode::unsupportedModel, fmt::format("{} at byte {}", why, position_));
  }
  [[nodiscard]] bool atEnd() const { return position_ >= pattern_.size(); }
  [[nodiscard]] bool sees(std::string_view text) const { return pattern_.substr(position_).starts_with(text); }
  bool accept(std::string_view text) {
    if (!sees(text)) return false;
    position_ += text.size();
    return true;
  }
  char32_t take() { return nextCharacter(pattern_, position_); }

  /// Up to the end or the ')' that closes the group, which is left.
  Result<std::string> alternatives() {
    if (++depth_ > kMaximumDepth) return refuse("groups nested too deeply");
    std::string result;
    while (!atEnd() && !sees(")")) {
      if (accept("|")) {
        result += '|';
      } else if (!skipExtendedSpace()) {
        KVISTA_ASSIGN(const std::string term, quantified());
        result += term;
      }
    }
    --depth_;
    return result;
  }

  bool skipExtendedSpace() {
    if (!extended_) return false;
    if (accept(" ") || accept("\t") || accept("\n") || accept("\r") || accept("\f")) return true;
    if (!accept("#")) return false;
    while (!atEnd() && !accept("\n")) ++position_;
    return true;
  }

  Result<std::string> quantified() {
    KVISTA_ASSIGN(std::string term, atom());
    for (bool first = true;; first = false) {
      const auto quantifier = takeQuantifier();
      if (!quantifier) return term;
      if (first && term.empty()) return refuse("nothing to repeat");
      // What is repeated already is wrapped: "a{2}+" repeats "a{2}" here, but would be possessive to PCRE2.
      term = (first ? term : "(?:" + term + ")") + *quantifier;
    }
  }

  std::optional<std::string> takeQuantifier() {
    for (const char* sign : {"*", "+", "?"}) {
      if (!accept(sign)) continue;
      std::string result = sign;
      if (accept("?")) return result + "?";
      if (accept("+")) return result + "+";
      return result;
    }
    if (!sees("{")) return std::nullopt;
    const std::size_t start = position_++;
    const std::optional<unsigned> lowest = takeNumber();
    const bool range = accept(",");
    const std::optional<unsigned> highest = range ? takeNumber() : lowest;
    if (!accept("}") || (!lowest && !highest)) {
      position_ = start;  // A brace that starts no interval stands for itself.
      return std::nullopt;
    }
    std::string result = fmt::format("{{{}", lowest.value_or(0));
    if (range) result += highest ? fmt::format(",{}", *highest) : ",";
    result += '}';
    if (range && accept("?")) result += '?';
    return result;
  }

  std::optional<unsigned> takeNumber() {
    unsigned value = 0;
    const std::size_t start = position_;
    while (!atEnd() && pattern_[position_] >= '0' && pattern_[position_] <= '9' && value < 100000) {
      value = value * 10 + static_cast<unsigned>(pattern_[position_++] - '0');
    }
    return position_ == start ? std::nullopt : std::optional(value);
  }

  Result<std::string> atom() {
    if (sees("(")) return group();
    if (accept("[")) return characterClass();
    if (accept("\\")) return escape();
    if (sees("*") || sees("+") || sees("?")) return refuse("nothing to repeat");
    for (const char* sign : {".", "^", "$"}) {
      if (accept(sign)) return std::string(sign);
    }
    return quotedCharacter(take());
  }

  Result<std::string> group() {
    if (accept("(?#")) {
      while (!atEnd() && !accept(")")) take();
      return std::string("(?:)");
    }
    for (const char* head : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (accept(head)) return groupBody(head);
    }
    if (sees("(?<") || sees("(?'")) {
      KVISTA_ASSIGN(const std::string name, groupName(2));
      hasNamedGroups_ = true;
      return groupBody("(?<" + name + ">");
    }
    if (sees("(?")) return optionGroup();
    if (sees("(*")) return refuse("callouts \"(*...)\" are not supported");
    position_ += 1;
    return groupBody("(");
  }

  Result<std::string> groupBody(const std::string& head) {
    const bool outside = extended_;
    KVISTA_ASSIGN(const std::string body, alternatives());
    extended_ = outside;
    if (!accept(")")) return refuse("a group is not closed");
    return head + body + ")";
  }

  /// "<name>" or "'name'" that starts `offset` bytes from here.
  Result<std::string> groupName(std::size_t offset) {
    position_ += offset;
    const char close = accept("'") ? '\'' : '>';
    if (close == '>' && !accept("<")) return refuse("a group name is expected");
    const std::size_t end = pattern_.find(close, position_);
    if (end == std::string_view::npos) return refuse("a group name is not closed");
    const std::string name(pattern_.substr(position_, end - position_));
    const auto isWord = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (name.empty() || name.size() > 32 || !std::ranges::all_of(name, isWord) || (name[0] >= '0' && name[0] <= '9')) {
      return refuse(fmt::format("group name \"{}\" is not supported", name));
    }
    position_ = end + 1;
    return name;
  }

  /// (?imx-imx) up to the end of the enclosing group, and (?imx-imx:...).
  Result<std::string> optionGroup() {
    const std::size_t start = position_;
    const bool outside = extended_;
    position_ += 2;
    std::string head = "(?";
    bool enable = true;
    while (!atEnd() && !sees(")") && !sees(":")) {
      const char32_t option = take();
      if (option == '-') {
        enable = false;
        head += '-';
      } else if (option == 'i') {
        head += 'i';
      } else if (option == 'm') {
        head += 's';  // Ruby's "multiline": the dot matches a line break.
      } else if (option == 'x') {
        extended_ = enable;
      } else {
        const std::string_view shown = pattern_.substr(start, position_ - start);
        return refuse(fmt::format("group \"{}\" is not supported", shown));
      }
    }
    if (head.ends_with('-')) head.pop_back();
    if (accept(":")) {
      KVISTA_ASSIGN(std::string result, groupBody(head + ":"));
      extended_ = outside;
      return result;
    }
    if (!accept(")")) return refuse("a group is not closed");
    KVISTA_ASSIGN(const std::string rest, alternatives());
    return head + ":" + rest + ")";
  }

  Result<std::string> escape() {
    if (atEnd()) return refuse("the pattern ends with a backslash");
    const char letter = pattern_[position_];
    if (const auto set = shorthandSet(letter)) {
      ++position_;
      return set->asClass();
    }
    if (sees("p{") || sees("P{")) {
      KVISTA_ASSIGN(const CharacterSet set, property());
      return set.asClass();
    }
    const std::string word = shorthandSet('w')->asClass();
    switch (letter) {
      case 'b':
        ++position_;
        return fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word);
      case 'B':
        ++position_;
        return fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
      case 'A':
      case 'z':
      case 'Z':
      case 'G':
      case 'K':
      case 'X':
        ++position_;
        return std::string{'\\', letter};
      case 'R':
        ++position_;
        return std::string(kNewlineSequence);
      case 'N':
        ++position_;
        return std::string("[^\\x{A}]");
      case 'O':
        ++position_;
        return std::string(kAnyCharacter);
      case 'k': {
        KVISTA_ASSIGN(const std::string name, groupName(1));
        return "\\k<" + name + ">";
      }
      default:
        break;
    }
    if (letter >= '1' && letter <= '9') {
      ++position_;
      if (!atEnd() && pattern_[position_] >= '0' && pattern_[position_] <= '9') {
        return refuse("octal escapes and references above \\9 are not supported");
      }
      return fmt::format("\\g{{{}}}", letter);
    }
    if (letter == 'g') return refuse("\\g is not supported");
    KVISTA_ASSIGN(const char32_t character, escapedCharacter());
    return quotedCharacter(character);
  }

  /// A backslash has been taken; what follows stands for one character.
  Result<char32_t> escapedCharacter() {
    if (atEnd()) return refuse("the pattern ends with a backslash");
    const char32_t letter = take();
    switch (letter) {
      case 't':
        return U'\t';
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 'f':
        return U'\f';
      case 'v':
        return U'\v';
      case 'a':
        return U'\a';
      case 'e':
        return U'\x1B';
      case 'x': {
        const bool braced = accept("{");
        KVISTA_ASSIGN(const char32_t value, hexadecimal(1, braced ? 6 : 2));
        if (braced ? !accept("}") : value >= 0x80) return refuse("\\x is not supported in this form");
        return value;
      }
      case 'u':
        return hexadecimal(4, 4);
      case '0':
      case 'c':
      case 'C':
      case 'M':
        return refuse(fmt::format("\\{} is not supported", static_cast<char>(letter)));
      default:
        return letter;
    }
  }

  Result<char32_t> hexadecimal(int lowest, int highest) {
    char32_t value = 0;
    int digits = 0;
    for (; digits < highest && !atEnd(); ++digits, ++position_) {
      const char c = pattern_[position_];
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<char32_t>(c - '0');
      } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        value = value * 16 + static_cast<char32_t>((c | 0x20) - 'a' + 10);
      } else {
        break;
      }
    }
    if (digits < lowest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return refuse("a hexadecimal escape is not a character");
    }
    return value;
  }

  /// "p{name}" or "P{name}" after a backslash.
  Result<CharacterSet> property() {
    const bool negated = pattern_[position_] == 'P';
    const std::size_t end = pattern_.find('}', position_);
    if (end == std::string_view::npos) return refuse("a property name is not closed");
    const std::string_view name = pattern_.substr(position_ + 2, end - position_ - 2);
    auto set = propertySet(name);
    if (!set) return refuse(fmt::format("character property \"{}\" is not supported", name));
    position_ = end + 1;
    return set->invert(negated);
  }

  /// What follows '['. Nested classes and && have no counterpart in PCRE2: they become alternatives and lookaheads,
  /// each of which still takes exactly one character.
  Result<std::string> characterClass() {
    if (++depth_ > kMaximumDepth) return refuse("classes nested too deeply");
    const bool negated = accept("^");
    std::string before;              // The lookaheads of the operands before the last &&.
    CharacterSet flat;               // The last operand: plain items, and
    std::vector<std::string> other;  // sets that do not fit among them.
    for (bool first = true; first || !accept("]"); first = false) {
      if (atEnd()) return refuse("a character class is not closed");
      if (accept("&&")) {
        KVISTA_ASSIGN(const std::string operand, unionOf(flat, other));
        before += "(?=" + operand + ")";
        flat = {};
        other.clear();
        continue;
      }
      KVISTA_CHECK(classItem(flat, other));
    }
    --depth_;
    KVISTA_ASSIGN(const std::string last, unionOf(flat, other));
    if (before.empty() && other.empty()) return flat.invert(negated).asClass();
    if (negated) return fmt::format("(?:(?!{}{}){})", before, last, kAnyCharacter);
    return fmt::format("(?:{}{})", before, last);
  }

  Result<std::string> unionOf(const CharacterSet& flat, const std::vector<std::string>& other) {
    if (flat.items.empty() && other.empty()) return refuse("a character class is empty");
    if (other.empty()) return flat.asClass();
    std::string result = "(?:";
    for (const std::string& set : other) result += set + "|";
    if (flat.items.empty()) {
      result.pop_back();
    } else {
      result += flat.asClass();
    }
    return result + ")";
  }

  Result<void> classItem(CharacterSet& flat, std::vector<std::string>& other) {
    const auto add = [&](const CharacterSet& set) {
      if (!set.negated) {
        flat.items += set.items;
      } else if (set.items.starts_with("\\p{") && set.items.find('}') + 1 == set.items.size()) {
        flat.items += "\\P" + set.items.substr(2);
      } else {
        other.push_back(set.asClass());
      }
    };
    if (accept("[:")) {
      const std::size_t end = pattern_.find(":]", position_);
      const auto set =
          end == std::string_view::npos ? std::nullopt : bracketSet(pattern_.substr(position_, end - position_));
      if (!set) return refuse("a [:name:] of a character class is not known");
      position_ = end + 2;
      add(*set);
      return {};
    }
    if (accept("[")) {
      KVISTA_ASSIGN(std::string nested, characterClass());
      other.push_back(std::move(nested));
      return {};
    }
    if (sees("\\p{") || sees("\\P{")) {
      ++position_;
      KVISTA_ASSIGN(const CharacterSet set, property());
      add(set);
      return {};
    }
    if (sees("\\") && position_ + 1 < pattern_.size()) {
      if (const auto set = shorthandSet(pattern_[position_ + 1])) {
        position_ += 2;
        add(*set);
        return {};
      }
    }
    KVISTA_ASSIGN(const char32_t lowest, classCharacter());
    if (!sees("-") || sees("-]") || sees("-[") || sees("-&&") || startsSet(position_ + 1)) {
      flat.items += quotedCharacter(lowest);
      return {};
    }
    position_ += 1;
    KVISTA_ASSIGN(const char32_t highest, classCharacter());
    if (highest < lowest) return refuse("a range of a character class is empty");
    flat.items += quotedCharacter(lowest) + "-" + quotedCharacter(highest);
    return {};
  }

  [[nodiscard]] bool startsSet(std::size_t position) const {
    const std::string_view rest = pattern_.substr(std::min(position, pattern_.size()));
    if (rest.size() < 2 || rest[0] != '\\') return rest.empty();
    return shorthandSet(rest[1]).has_value() || rest.starts_with("\\p{") || rest.starts_with("\\P{");
  }

  Result<char32_t> classCharacter() {
    if (atEnd()) return refuse("a character class is not closed");
    if (accept("\\b")) return U'\b';
    if (accept("\\")) return escapedCharacter();
    return take();
  }

  std::string_view pattern_;
  std::size_t position_ = 0;
  int depth_ = 0;
  bool extended_ = false;
  bool hasNamedGroups_ = false;
};

}  // namespace

Result<TranslatedPattern> translateOniguruma(std::string_view pattern) {
  if (const auto invalid = firstInvalidUtf8(pattern)) {
    return fail(ErrorCode::corruptFile, fmt::format("the pattern is not UTF-8 at byte {}", *invalid));
  }
  return Translator(pattern).translate();
}

}  // namespace kvista
