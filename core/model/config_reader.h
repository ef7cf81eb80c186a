// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// Checked access to the keys of config.json, or of an object inside it. A key whose value is null counts as absent, as
/// in transformers. Every error names the field, what it holds and what would be right.
class ConfigReader {
 public:
  /// `object` must outlive the reader and be a JSON object; `source` names it in messages ("config.json of /models/x").
  ConfigReader(const nlohmann::json& object, std::string source, std::string prefix = {})
      : object_(&object), source_(std::move(source)), prefix_(std::move(prefix)) {}

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  /// The first of the keys that `has`, or else the first: a number that some files keep under another name.
  [[nodiscard]] std::string_view firstOf(std::initializer_list<std::string_view> keys) const;
  /// It is an object inside another configuration, as the text part of a multimodal model.
  [[nodiscard]] bool isPart() const { return !prefix_.empty(); }
  /// The key is written down and its value is null, which for a few keys means something else than absence.
  [[nodiscard]] bool isNull(std::string_view key) const;
  [[nodiscard]] bool isText(std::string_view key) const;

  /// A whole number within [minimum, maximum]; absent: an error.
  [[nodiscard]] Result<std::int64_t> integer(std::string_view key, std::int64_t minimum, std::int64_t maximum) const;
  [[nodiscard]] Result<std::int64_t> integerOr(std::string_view key, std::int64_t absent, std::int64_t minimum,
                                               std::int64_t maximum) const;
  /// A finite number above zero; absent: an error.
  [[nodiscard]] Result<double> positive(std::string_view key) const;
  [[nodiscard]] Result<double> positiveOr(std::string_view key, double absent) const;
  [[nodiscard]] Result<double> nonNegativeOr(std::string_view key, double absent) const;
  [[nodiscard]] Result<bool> booleanOr(std::string_view key, bool absent) const;
  [[nodiscard]] Result<std::string> stringOr(std::string_view key, std::string absent) const;
  /// Exactly `count` finite numbers above zero.
  [[nodiscard]] Result<std::vector<double>> positiveList(std::string_view key, std::size_t count) const;
  /// Whole numbers within [minimum, maximum]; exactly `count` of them where that is given.
  [[nodiscard]] Result<std::vector<std::int64_t>> integerList(std::string_view key, std::int64_t minimum,
                                                              std::int64_t maximum,
                                                              std::optional<std::size_t> count = {}) const;
  /// Exactly `count` strings.
  [[nodiscard]] Result<std::vector<std::string>> stringList(std::string_view key, std::size_t count) const;
  /// The object under `key`; must be there (see `has`).
  [[nodiscard]] Result<ConfigReader> object(std::string_view key) const;
  /// The same, or one without keys.
  [[nodiscard]] Result<ConfigReader> objectOrEmpty(std::string_view key) const;
  [[nodiscard]] bool isEmpty() const;

  /// "config.json of /models/x: rope_scaling.factor", for messages about what the value means.
  [[nodiscard]] std::string describeField(std::string_view key) const;
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  [[nodiscard]] const nlohmann::json* find(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view key, std::string_view expected) const;

  const nlohmann::json* object_;
  std::string source_;
  std::string prefix_;
};

}  // namespace kvista
