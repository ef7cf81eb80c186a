// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/json_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "core/io/json_members.h"
#include "core/io/mapped_file.h"

namespace kvista {
namespace {

using nlohmann::json;

constexpr const char* kDamagedHint =
    "The file is damaged or something else than it is called: get it again from where it came from.";

// An array of so many values is 128 MB; the largest tokenizers hold about three million.
constexpr std::size_t kMaximumValues = 8'000'000;
constexpr int kMemberDepth = 64;

/// Builds the tree from the parser's events, so that duplicate keys and depth are seen when they occur. (The library's
/// own tree keeps the last of duplicate keys and knows no limit.)
class TreeBuilder final : public nlohmann::json_sax<json> {
 public:
  /// With `visit` the tree keeps the names of its members, but not what they are.
  explicit TreeBuilder(int maximumDepth, const VisitMember* visit = nullptr)
      : maximumDepth_(static_cast<std::size_t>(maximumDepth)), visit_(visit) {}

  [[nodiscard]] json takeTree() { return std::move(root_); }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// Byte at which the text is wrong; 0 when the problem is not one of grammar.
  [[nodiscard]] std::size_t problemPosition() const { return problemPosition_; }
  /// What `visit` said last.
  [[nodiscard]] const Result<void>& visited() const { return visited_; }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return refuse("holds binary data"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [place, isNew] = stack_.back()->get_ref<json::object_t&>().try_emplace(name);
    if (!isNew) return refuse(fmt::format("holds the key {} twice", quoteForMessage(name)));
    member_ = &place->second;
    if (stack_.size() == 1) name_ = &place->first;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& error) override {
    problemPosition_ = std::max<std::size_t>(position, 1);
    return refuse(grammarProblem(error.what()));
  }

 private:
  /// The library's reason without its prefix and without a copy of the text, which may be long or not UTF-8.
  static std::string grammarProblem(std::string_view words) {
    words = words.substr(0, words.find("; last read"));
    if (const auto dash = words.find(" - "); dash != words.npos) words.remove_prefix(dash + 3);
    if (const auto bracket = words.find("] "); bracket != words.npos) words.remove_prefix(bracket + 2);
    return std::string(words.substr(0, 200));
  }

  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  json* place(json value) {
    if (stack_.empty()) return &(root_ = std::move(value));
    if (stack_.back()->is_object()) return &(*member_ = std::move(value));
    return &stack_.back()->get_ref<json::array_t&>().emplace_back(std::move(value));
  }
  bool put(json value) {
    if (++values_ > kMaximumValues) return refuse(fmt::format("holds more than {} values", kMaximumValues));
    return complete(place(std::move(value)));
  }
  bool open(json value) {
    if (stack_.size() >= maximumDepth_) return refuse(fmt::format("nests deeper than {} levels", maximumDepth_));
    if (++values_ > kMaximumValues) return refuse(fmt::format("holds more than {} values", kMaximumValues));
    stack_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    json* const closed = stack_.back();
    stack_.pop_back();
    return complete(closed);
  }
  bool complete(json* value) {
    if (visit_ == nullptr || stack_.size() != 1 || !stack_.front()->is_object()) return true;
    visited_ = (*visit_)(*name_, *value);
    *value = nullptr;
    return visited_.has_value();
  }

  std::size_t maximumDepth_;
  const VisitMember* visit_;
  Result<void> visited_;
  json root_;
  std::vector<json*> stack_;  // the open objects and arrays; an array does not grow while one of its elements is open
  json* member_ = nullptr;    // where the value of the last key goes
  const std::string* name_ = nullptr;  // the last key of the outermost object
  std::size_t values_ = 0;
  std::string problem_;
  std::size_t problemPosition_ = 0;
};

std::string lineAndColumn(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, position - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t lineStart = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, before.size() - lineStart + 1);
}

}  // namespace

namespace {

Result<void> parse(std::string_view text, std::string_view what, TreeBuilder& builder) {
  if (text.find_first_not_of(" \t\r\n") == text.npos)
    return fail(ErrorCode::corruptFile, fmt::format("{} is empty.", what), kDamagedHint);
  // The library takes a NUL for the end of the text and would not look at what follows.
  if (const std::size_t position = text.find('\0'); position != text.npos)
    return fail(
        ErrorCode::corruptFile,
        fmt::format("{} is not valid JSON: it holds the character NUL at {}.", what, lineAndColumn(text, position + 1)),
        kDamagedHint);
  try {
    if (json::sax_parse(text, &builder)) return {};
    KVISTA_CHECK(builder.visited());
    if (builder.problemPosition() == 0)
      return fail(ErrorCode::corruptFile, fmt::format("{} {}.", what, builder.problem()), kDamagedHint);
    return fail(ErrorCode::corruptFile,
                fmt::format("{} is not valid JSON at {}: {}.", what,
                            lineAndColumn(text, std::min(builder.problemPosition(), text.size())), builder.problem()),
                kDamagedHint);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::outOfMemory, fmt::format("{} ({} bytes) does not fit into memory.", what, text.size()),
                "Close other programs, or use a machine with more memory.");
  }
}

}  // namespace

Result<json> parseJson(std::string_view text, std::string_view what, int maximumDepth) {
  TreeBuilder builder(maximumDepth);
  KVISTA_CHECK(parse(text, what, builder));
  return builder.takeTree();
}

Result<void> parseJsonMembers(std::string_view text, std::string_view what, const VisitMember& visit) {
  TreeBuilder builder(kMemberDepth, &visit);
  return parse(text, what, builder);
}

Result<json> readJsonFile(const std::filesystem::path& path, std::size_t maximumBytes) {
  KVISTA_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > maximumBytes)
    return fail(ErrorCode::corruptFile,
                fmt::format("{} has {} bytes; at most {} are read.", path.string(), bytes.size(), maximumBytes),
                kDamagedHint);
  return parseJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

std::string quoteForMessage(std::string_view name) {
  constexpr std::size_t kShownBytes = 200;
  std::string shown = json(name.substr(0, kShownBytes)).dump(-1, ' ', false, json::error_handler_t::replace);
  if (name.size() > kShownBytes) shown += "...";
  return shown;
}

std::string_view kindOf(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::number_float:
      return "a fraction";
    case json::value_t::number_integer:
      return value.get<std::int64_t>() < 0 ? "a negative number" : "a number";
    default:
      return "a number";
  }
}

}  // namespace kvista
