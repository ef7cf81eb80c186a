// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/task_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/amount.h"
#include "core/io/file_descriptor.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 30;
constexpr std::size_t kLongestLine = std::size_t{16} << 20;
constexpr std::size_t kMostChoices = 1024, kMostTexts = 1024;
constexpr std::int64_t kMostTokens = 65536;
constexpr std::int64_t kUsualTokens = 256;
constexpr const char* kUsualEnd = "\n\n";
constexpr const char* kForms =
    "Each line is an object such as {\"query\": \"...\", \"choices\": [\"...\", \"...\"], \"gold\": 0} or {\"prompt\": "
    "\"...\", \"target\": \"...\"}.";

/// Reads the fields of one line; the first mistake is kept.
class Line {
 public:
  Line(const json& object, std::string what) : object_(object), what_(std::move(what)) {}

  [[nodiscard]] bool has(const char* field) const { return object_.contains(field) && !object_[field].is_null(); }
  [[nodiscard]] const json& value(const char* field) {
    static const json nothing;
    if (has(field)) return object_[field];
    mistake(fmt::format("has no field '{}'", field));
    return nothing;
  }
  std::string text(const char* field) {
    const json& found = value(field);
    if (found.is_string()) return found.get<std::string>();
    mistake(fmt::format("has {} in '{}', not a string", kindOf(found), field));
    return {};
  }
  /// A string, or a list of them.
  std::vector<std::string> texts(const json& found, const char* field) {
    std::vector<std::string> list;
    if (found.is_string()) return {found.get<std::string>()};
    if (!found.is_array() || found.empty() || found.size() > kMostTexts) {
      mistake(
          fmt::format("has {} in '{}', not a string or a list of 1 to {} strings", kindOf(found), field, kMostTexts));
      return list;
    }
    for (const json& each : found) {
      if (!each.is_string()) mistake(fmt::format("has {} in the list '{}', not a string", kindOf(each), field));
      list.push_back(each.is_string() ? each.get<std::string>() : std::string());
    }
    return list;
  }
  std::int64_t integer(const json& found, const char* field, std::int64_t least, std::int64_t most) {
    if (found.is_number_integer() && found >= least && found <= most) return found.get<std::int64_t>();
    mistake(fmt::format("has in '{}' not a whole number from {} to {}", field, least, most));
    return least;
  }
  void mistake(const std::string& problem) {
    if (!error_) error_ = Error{ErrorCode::invalidArgument, fmt::format("The {} {}.", what_, problem), {}, kForms};
  }
  template <class Item>
  Result<Item> finish(Item item) {
    if (error_) return tl::unexpected(*std::move(error_));
    return item;
  }

 private:
  const json& object_;
  std::string what_;
  std::optional<Error> error_;
};

/// An answer without the white space that parts it from the question.
std::string_view withoutDelimiter(std::string_view continuation) {
  continuation.remove_prefix(std::min(continuation.find_first_not_of(" \n\t"), continuation.size()));
  return continuation;
}

void checkAnswers(Line& line, const ChoiceItem& item, const char* field) {
  if (item.continuations.size() < 2 || item.continuations.size() > kMostChoices)
    line.mistake(
        fmt::format("has {} in '{}', not 2 to {}", amount(item.continuations.size(), "answer"), field, kMostChoices));
  if (std::ranges::find(item.bytes, std::size_t{0}) != item.bytes.end())
    line.mistake(fmt::format("has an empty answer in '{}'", field));
}

void checkTargets(Line& line, const WritingItem& item) {
  for (const std::string& target : item.targets)
    if (withoutDelimiter(target).empty()) line.mistake("has an empty answer in 'target'");
  if (std::ranges::find(item.until, std::string()) != item.until.end()) line.mistake("has an empty string in 'until'");
}

ChoiceItem choiceOf(Line& line) {
  ChoiceItem item;
  item.context = line.text("query");
  if (const json& choices = line.value("choices"); choices.is_array()) {
    for (const std::string& choice : line.texts(choices, "choices")) {
      item.continuations.push_back(" " + choice);
      item.bytes.push_back(choice.size());
    }
  } else {
    line.mistake(fmt::format("has {} in 'choices', not a list", kindOf(choices)));
  }
  checkAnswers(line, item, "choices");
  const auto last = static_cast<std::int64_t>(item.continuations.size()) - 1;
  item.gold = static_cast<std::size_t>(line.integer(line.value("gold"), "gold", 0, std::max<std::int64_t>(last, 0)));
  return item;
}

WritingItem writingOf(Line& line) {
  WritingItem item;
  item.context = line.text("prompt");
  item.targets = line.texts(line.value("target"), "target");
  item.until = line.has("until") ? line.texts(line.value("until"), "until") : std::vector<std::string>{kUsualEnd};
  item.maximumTokens = line.has("max_gen_toks")
                           ? line.integer(line.value("max_gen_toks"), "max_gen_toks", 1, kMostTokens)
                           : kUsualTokens;
  checkTargets(line, item);
  return item;
}

/// What the model was asked: (context, continuation or settings) of each request of a logged sample, of either version
/// of the log.
std::vector<std::pair<std::string, json>> requestsOf(Line& line) {
  std::vector<std::pair<std::string, json>> requests;
  const json& arguments = line.value("arguments");
  if (!(arguments.is_array() || arguments.is_object()) || arguments.empty() || arguments.size() > kMostChoices)
    line.mistake(fmt::format("has {} in 'arguments', not 1 to {} requests", kindOf(arguments), kMostChoices));
  for (std::size_t i = 0;
       i < std::min(arguments.size(), kMostChoices) && (arguments.is_array() || arguments.is_object()); ++i) {
    json request;
    if (arguments.is_array()) {
      request = arguments[i];
    } else if (const auto named = arguments.find(fmt::format("gen_args_{}", i));
               named != arguments.end() && named->is_object()) {
      request = json::array({named->value("arg_0", json()), named->value("arg_1", json())});
    }
    if (!request.is_array() || request.size() < 2 || !request[0].is_string()) {
      line.mistake(fmt::format("has no context and continuation in request {} of 'arguments'", i));
      return requests;
    }
    requests.emplace_back(request[0].get<std::string>(), request[1]);
  }
  return requests;
}

/// The number of the right answer, which a log has as a number, as its digits, or as the answer's own words.
std::size_t goldOf(Line& line, const ChoiceItem& item) {
  const json& target = line.value("target");
  const auto last = static_cast<std::int64_t>(item.continuations.size()) - 1;
  if (!target.is_string())
    return static_cast<std::size_t>(line.integer(target, "target", 0, std::max<std::int64_t>(last, 0)));
  const auto& words = target.get_ref<const std::string&>();
  std::int64_t number = -1;
  if (const auto read = std::from_chars(words.data(), words.data() + words.size(), number);
      read.ec != std::errc() || read.ptr != words.data() + words.size())
    for (std::int64_t i = 0; i <= last; ++i)
      if (withoutDelimiter(item.continuations[static_cast<std::size_t>(i)]) == withoutDelimiter(words)) number = i;
  if (number < 0 || number > last) line.mistake("names in 'target' none of its answers");
  return static_cast<std::size_t>(std::clamp<std::int64_t>(number, 0, std::max<std::int64_t>(last, 0)));
}

/// A line that the harness wrote.
void addSample(Line& line, std::int64_t number, TaskItems& items) {
  const auto requests = requestsOf(line);
  if (requests.empty()) return;
  if (const json& second = requests.front().second; second.is_object()) {
    WritingItem item{
        number, requests.front().first, line.texts(line.value("target"), "target"), {kUsualEnd}, kUsualTokens};
    if (second.contains("until") && !second["until"].is_null()) item.until = line.texts(second["until"], "until");
    if (second.contains("max_gen_toks"))
      item.maximumTokens = line.integer(second["max_gen_toks"], "max_gen_toks", 1, kMostTokens);
    checkTargets(line, item);
    items.writings.push_back(std::move(item));
    return;
  }
  ChoiceItem item{number, requests.front().first, {}, {}, 0};
  for (const auto& [context, continuation] : requests) {
    if (context != item.context) line.mistake("has answers in 'arguments' that stand behind different contexts");
    if (!continuation.is_string()) line.mistake("has a continuation in 'arguments' that is not a string");
    item.continuations.push_back(continuation.is_string() ? continuation.get<std::string>() : std::string());
    item.bytes.push_back(withoutDelimiter(item.continuations.back()).size());
  }
  checkAnswers(line, item, "arguments");
  item.gold = goldOf(line, item);
  items.choices.push_back(std::move(item));
}

Result<void> addItem(const json& object, const std::string& what, std::int64_t number, TaskItems& items) {
  if (!object.is_object())
    return fail(ErrorCode::invalidArgument, fmt::format("The {} holds {}, not an object.", what, kindOf(object)),
                kForms);
  Line line(object, what);
  if (line.has("arguments")) {
    addSample(line, number, items);
  } else if (line.has("query") || line.has("choices")) {
    items.choices.push_back(choiceOf(line));
    items.choices.back().line = number;
  } else if (line.has("prompt")) {
    items.writings.push_back(writingOf(line));
    items.writings.back().line = number;
  } else {
    line.mistake("has neither 'query' nor 'prompt'");
  }
  return line.finish(true).map([](bool) {});
}

}  // namespace

Result<TaskItems> readTaskItems(const std::filesystem::path& path, std::optional<std::int64_t> most) {
  auto opened = openRegularFile(path);
  if (!opened) {
    opened.error().message = "The task file " + opened.error().message;
    opened.error().hint = "Give a JSONL file, one item a line.";
    return tl::unexpected(std::move(opened).error());
  }
  if (opened->size > kLargestFile)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The task file {} has {} bytes, more than {}.", path.string(), opened->size, kLargestFile),
                "Split it into several.");
  std::ifstream stream(path, std::ios::binary);
  TaskItems items;
  std::string text;
  const auto count = [&] { return static_cast<std::int64_t>(items.choices.size() + items.writings.size()); };
  for (std::int64_t number = 1; (!most || count() < *most) && std::getline(stream, text); ++number) {
    const std::string what = fmt::format("line {} of {}", number, path.string());
    if (text.size() > kLongestLine)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The {} has {} bytes, more than {}.", what, text.size(), kLongestLine));
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    KVISTA_ASSIGN(const json object, parseJson(text, what));
    KVISTA_CHECK(addItem(object, what, number, items));
  }
  if (stream.bad())
    return fail(ErrorCode::io, fmt::format("The task file {} cannot be read to its end.", path.string()),
                "Look at its disk.");
  if (count() == 0)
    return fail(ErrorCode::invalidArgument, fmt::format("The task file {} has no item.", path.string()), kForms);
  return items;
}

}  // namespace kvista
