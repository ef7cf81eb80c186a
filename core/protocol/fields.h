// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/plan/matrix.h"
#include "core/plan/plan_names.h"
#include "core/protocol/records.h"

namespace kvista {

/// Whole numbers that every reader of the wire can hold: beyond 2^53 a double loses them.
inline constexpr std::int64_t kLargestInteger = std::int64_t{1} << 53;
/// No model has this many layers, heads, directions or lines.
inline constexpr std::int64_t kLargestCount = std::int64_t{1} << 24;

/// Reads the fields of one message. The first mistake is kept and named by `finish`; reading goes on with empty values,
/// so that a record is read in as many lines as it has fields. A field that is null counts as absent; fields that are
/// not asked for are another version's and are left alone.
class Fields {
 public:
  /// `what` names the object in sentences: "the plan's wish". `value` must outlive the reader.
  Fields(const nlohmann::json& value, std::string what);

  [[nodiscard]] bool has(const char* field) const;
  std::string text(const char* field);
  bool boolean(const char* field);
  std::int64_t integer(const char* field, std::int64_t lowest = 0, std::int64_t highest = kLargestInteger);
  /// A whole number that an int holds.
  int count(const char* field, int lowest = 0, int highest = static_cast<int>(kLargestCount));
  /// Finite, within the bounds.
  double number(const char* field, double lowest = std::numeric_limits<double>::lowest(),
                double highest = std::numeric_limits<double>::max());
  std::vector<std::string> texts(const char* field);
  std::vector<int> counts(const char* field, int lowest = 0, int highest = static_cast<int>(kLargestCount));
  /// Finite, at least `lowest`; written one by one, for files that people read.
  std::vector<double> numbers(const char* field, double lowest = std::numeric_limits<double>::lowest());
  std::vector<float> floats(const char* field);
  std::vector<double> doubles(const char* field);
  std::vector<std::uint8_t> bytes(const char* field);
  Matrix matrix(const char* field);

  template <class Table>
  auto choice(const char* field, const Table& table) -> decltype(table[0].value) {
    const std::string name = text(field);
    std::string known;
    for (const auto& named : table) {
      if (named.name == name) return named.value;
      known += (known.empty() ? "" : ", ") + std::string(named.name);
    }
    mistake(field, "is \"" + name + "\", it must be one of " + known);
    return table[0].value;
  }

  template <class Record>
  Record record(const char* field) {
    const nlohmann::json* value = find(field);
    if (!value) return {};
    return take(field, read<Record>(*value));
  }
  template <class Record>
  std::vector<Record> records(const char* field) {
    std::vector<Record> list;
    const nlohmann::json* value = array(field);
    if (!value) return list;
    list.reserve(value->size());
    for (const nlohmann::json& entry : *value) {
      list.push_back(take(field, read<Record>(entry)));
      if (error_) break;
    }
    return list;
  }
  /// The value of something that read a field in its own way, or its mistake.
  template <class Value>
  Value take(const char* field, Result<Value> result) {
    if (result) return *std::move(result);
    nested(field, std::move(result).error());
    return {};
  }
  /// The field's value, or null with a mistake kept where it is missing.
  const nlohmann::json* find(const char* field);
  /// Keeps "The field <field> of <what> <problem>." if it is the first mistake.
  void mistake(const char* field, std::string_view problem);

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  template <class Record>
  Result<Record> finish(Record record) {
    if (error_) return tl::unexpected(*std::move(error_));
    return record;
  }

 private:
  void nested(const char* field, Error error);
  const nlohmann::json* array(const char* field);
  /// The bytes of a packed list of `itemBytes` numbers, its shape checked; null with a mistake kept.
  const std::vector<std::uint8_t>* packedBytes(const char* field, std::string_view type, std::size_t itemBytes,
                                               std::size_t dimensions, std::vector<std::int64_t>& shape);

  const nlohmann::json* object_;
  std::string what_;
  std::optional<Error> error_;
};

/// Numbers in bulk: {"type": "float32", "shape": [...], "data": bytes}.
nlohmann::json packed(const std::vector<float>& values);
nlohmann::json packed(const std::vector<double>& values);
nlohmann::json packed(const std::vector<std::uint8_t>& values);
nlohmann::json packed(const Matrix& matrix);

/// A list of records, each through its toJson.
template <class Record>
nlohmann::json listOf(const std::vector<Record>& records) {
  nlohmann::json list = nlohmann::json::array();
  for (const Record& record : records) list.push_back(toJson(record));
  return list;
}

}  // namespace kvista
