// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/pickle.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/io/json_file.h"

namespace kvista {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMostValues = std::size_t{1} << 21;
// The pickler hands over dictionaries in batches of a thousand pairs.
constexpr std::size_t kDeepestStack = 16384, kMostMarks = 256;

/// The machine that pickles are written for, without its ways to import and to call.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::function<bool(std::string_view)>& isKnown)
      : bytes_(bytes), isKnown_(isKnown) {}

  Result<Pickle> run() {
    for (;;) {
      instruction_ = position_;
      KVISTA_ASSIGN(const auto code, number<std::uint8_t>());
      if (code == '.') break;
      KVISTA_CHECK(step(static_cast<char>(code)));
    }
    KVISTA_ASSIGN(pickle_.root, pop());
    pickle_.length = position_;
    return std::move(pickle_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("its pickle {} at byte {}.", what, instruction_));
  }

  template <class Number>
  Result<Number> number() {
    if (bytes_.size() - position_ < sizeof(Number)) return corrupt("ends in the middle of an instruction");
    Number value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }
  Result<std::string_view> text(std::uint64_t length) {
    if (length > bytes_.size() - position_)
      return corrupt(fmt::format("claims a text of {} bytes, where {} are left,", length, bytes_.size() - position_));
    const std::string_view view(reinterpret_cast<const char*>(bytes_.data()) + position_, length);
    position_ += length;
    return view;
  }
  Result<std::string_view> line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_, bytes_.size() - position_);
    const std::size_t length = rest.find('\n');
    if (length == rest.npos) return corrupt("ends in the middle of a name");
    position_ += length + 1;
    return rest.substr(0, length);
  }

  Result<void> push(std::uint32_t place) {
    if (stack_.size() == kDeepestStack)
      return corrupt(fmt::format("stacks more than {} values, as no file of tensors does,", kDeepestStack));
    stack_.push_back(place);
    return {};
  }
  Result<void> push(PickleValue value) {
    if (pickle_.values.size() == kMostValues) return corrupt(fmt::format("holds more than {} values", kMostValues));
    pickle_.values.push_back(std::move(value));
    return push(static_cast<std::uint32_t>(pickle_.values.size() - 1));
  }
  Result<void> push(Kind kind, std::int64_t integer = 0) { return push(PickleValue{kind, integer, {}, {}}); }
  Result<void> pushText(Result<std::string_view> text) {
    if (!text) return tl::unexpected(std::move(text).error());
    return push(PickleValue{Kind::text, 0, *text, {}});
  }

  Result<std::uint32_t> pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return corrupt("takes a value from an empty stack");
    const std::uint32_t place = stack_.back();
    stack_.pop_back();
    return place;
  }
  Result<std::vector<std::uint32_t>> pop(std::size_t count) {
    if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count)
      return corrupt("takes values from an empty stack");
    std::vector<std::uint32_t> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  Result<std::vector<std::uint32_t>> popToMark() {
    if (marks_.empty()) return corrupt("goes back to a mark that was not set");
    KVISTA_ASSIGN(auto items, pop(stack_.size() - marks_.back()));
    marks_.pop_back();
    return items;
  }
  Result<PickleValue*> top(Kind kind, std::string_view what) {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()) || pickle_[stack_.back()].kind != kind)
      return corrupt(fmt::format("adds to {} where there is none", what));
    return &pickle_.values[stack_.back()];
  }

  Result<void> pushTuple(Result<std::vector<std::uint32_t>> items) {
    if (!items) return tl::unexpected(std::move(items).error());
    return push(PickleValue{Kind::tuple, 0, {}, *std::move(items)});
  }
  Result<void> append(Kind kind, std::string_view what, Result<std::vector<std::uint32_t>> items) {
    if (!items) return tl::unexpected(std::move(items).error());
    KVISTA_ASSIGN(PickleValue* const target, top(kind, what));
    if (kind == Kind::dictionary && items->size() % 2 != 0) return corrupt("adds a key without a value");
    target->items.insert(target->items.end(), items->begin(), items->end());
    return {};
  }

  Result<void> remember(std::uint32_t index) {
    if (stack_.empty()) return corrupt("remembers a value of an empty stack");
    memo_[index] = stack_.back();
    return {};
  }
  Result<void> recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) return corrupt(fmt::format("recalls value {}, which it has not remembered,", index));
    return push(found->second);
  }

  Result<void> pushInteger(std::size_t length) {
    KVISTA_ASSIGN(const std::string_view digits, text(length));
    if (length > 8) return push(PickleValue{Kind::longInteger, 0, digits, {}});
    const bool isNegative = !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80) != 0;
    std::uint64_t value = isNegative ? ~std::uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), length);
    return push(Kind::integer, static_cast<std::int64_t>(value));
  }

  Result<void> pushGlobal(std::string_view module, std::string_view name) {
    std::string whole = fmt::format("{}.{}", module, name);
    if (!isKnown_(whole))
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("its pickle asks for {}, which is no part of a file of tensors and is not run.",
                              quoteForMessage(whole)));
    return push(PickleValue{Kind::global, 0, *pickle_.globals.insert(std::move(whole)).first, {}});
  }
  Result<void> pushGlobalOfStack() {
    KVISTA_ASSIGN(const auto names, pop(2));
    if (pickle_[names[0]].kind != Kind::text || pickle_[names[1]].kind != Kind::text)
      return corrupt("names a global by something else than a text");
    return pushGlobal(pickle_[names[0]].text, pickle_[names[1]].text);
  }

  Result<void> pushCall() {
    KVISTA_ASSIGN(auto items, pop(2));
    if (pickle_[items[0]].kind != Kind::global || pickle_[items[1]].kind != Kind::tuple)
      return corrupt("calls something that is no global");
    const bool isDictionary = pickle_[items[0]].text == "collections.OrderedDict" && pickle_[items[1]].items.empty();
    return isDictionary ? push(Kind::dictionary) : push(PickleValue{Kind::call, 0, {}, std::move(items)});
  }

  Result<void> step(char code) {
    switch (code) {
      case '\x80': {
        KVISTA_ASSIGN(const auto protocol, number<std::uint8_t>());
        if (protocol < 2 || protocol > 4)
          return fail(ErrorCode::unsupportedModel,
                      fmt::format("its pickle is of protocol {}; those from 2 to 4 are read.", protocol));
        return {};
      }
      case '\x95': {  // A frame's length helps those who read from a stream.
        KVISTA_CHECK(number<std::uint64_t>());
        return {};
      }
      case '(':
        if (marks_.size() == kMostMarks) return corrupt(fmt::format("nests more than {} values", kMostMarks));
        marks_.push_back(stack_.size());
        return {};
      case '0':
        KVISTA_CHECK(pop());
        return {};
      case 'N':
        return push(Kind::none);
      case '\x88':
        return push(Kind::boolean, 1);
      case '\x89':
        return push(Kind::boolean, 0);
      case 'K':
        return pushNumber<std::uint8_t>();
      case 'M':
        return pushNumber<std::uint16_t>();
      case 'J':
        return pushNumber<std::int32_t>();
      case '\x8a':
        return withLength<std::uint8_t>([&](std::size_t length) { return pushInteger(length); });
      case 'U':  // A text of Python 2, which wrote the oldest files.
      case '\x8c':
        return withLength<std::uint8_t>([&](std::size_t length) { return pushText(text(length)); });
      case 'T':
      case 'X':
        return withLength<std::uint32_t>([&](std::size_t length) { return pushText(text(length)); });
      case ')':
        return push(Kind::tuple);
      case '\x85':
        return pushTuple(pop(1));
      case '\x86':
        return pushTuple(pop(2));
      case '\x87':
        return pushTuple(pop(3));
      case 't':
        return pushTuple(popToMark());
      case ']':
        return push(Kind::list);
      case 'a':
        return append(Kind::list, "a list", pop(1));
      case 'e':
        return append(Kind::list, "a list", popToMark());
      case '}':
        return push(Kind::dictionary);
      case 's':
        return append(Kind::dictionary, "a dictionary", pop(2));
      case 'u':
        return append(Kind::dictionary, "a dictionary", popToMark());
      case 'q':
        return withLength<std::uint8_t>([&](std::size_t index) { return remember(static_cast<std::uint32_t>(index)); });
      case 'r':
        return withLength<std::uint32_t>(
            [&](std::size_t index) { return remember(static_cast<std::uint32_t>(index)); });
      case '\x94':
        return remember(static_cast<std::uint32_t>(memo_.size()));
      case 'h':
        return withLength<std::uint8_t>([&](std::size_t index) { return recall(static_cast<std::uint32_t>(index)); });
      case 'j':
        return withLength<std::uint32_t>([&](std::size_t index) { return recall(static_cast<std::uint32_t>(index)); });
      case 'c': {
        KVISTA_ASSIGN(const std::string_view module, line());
        KVISTA_ASSIGN(const std::string_view name, line());
        return pushGlobal(module, name);
      }
      case '\x93':
        return pushGlobalOfStack();
      case 'R':
        return pushCall();
      case 'b': {  // Attributes of a dictionary (a module's versions) are of no use here.
        KVISTA_CHECK(pop());
        KVISTA_CHECK(top(Kind::dictionary, "a dictionary"));
        return {};
      }
      case 'Q': {
        KVISTA_ASSIGN(auto name, pop(1));
        return push(PickleValue{Kind::persistent, 0, {}, std::move(name)});
      }
      default:
        return fail(
            ErrorCode::unsupportedModel,
            fmt::format("its pickle has the instruction {:#04x} at byte {}, which a file of tensors does not need.",
                        static_cast<unsigned char>(code), instruction_));
    }
  }

  template <class Number>
  Result<void> pushNumber() {
    KVISTA_ASSIGN(const Number value, number<Number>());
    return push(Kind::integer, value);
  }
  template <class Length, class Use>
  Result<void> withLength(Use use) {
    KVISTA_ASSIGN(const Length length, number<Length>());
    return use(length);
  }

  std::span<const std::byte> bytes_;
  const std::function<bool(std::string_view)>& isKnown_;
  std::size_t position_ = 0, instruction_ = 0;
  Pickle pickle_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint32_t, std::uint32_t> memo_;
};

}  // namespace

Result<Pickle> readPickle(std::span<const std::byte> bytes, const std::function<bool(std::string_view)>& isKnown) {
  return PickleMachine(bytes, isKnown).run();
}

std::string_view kindOf(const PickleValue& value) {
  switch (value.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "a truth value";
    case Kind::integer:
    case Kind::longInteger:
      return "an integer";
    case Kind::text:
      return "a text";
    case Kind::tuple:
      return "a tuple";
    case Kind::list:
      return "a list";
    case Kind::dictionary:
      return "a dictionary";
    case Kind::global:
      return "a global";
    case Kind::call:
      return "a call";
    case Kind::persistent:
      return "a storage";
  }
  return "a value";
}

}  // namespace kvista
