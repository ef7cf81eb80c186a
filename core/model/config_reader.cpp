// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/config_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace kvista {

namespace {

/// What a value looks like in a message: short, whatever the file holds.
std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

bool isPositive(const nlohmann::json& value) {
  if (!value.is_number()) return false;
  const auto number = value.get<double>();
  return std::isfinite(number) && number > 0;
}

}  // namespace

const nlohmann::json* ConfigReader::find(std::string_view key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::isNull(std::string_view key) const { return !has(key) && object_->contains(key); }

bool ConfigReader::isText(std::string_view key) const { return has(key) && find(key)->is_string(); }

bool ConfigReader::isEmpty() const { return object_->empty(); }

std::string_view ConfigReader::firstOf(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    if (has(key)) return key;
  }
  return *keys.begin();
}

std::string ConfigReader::describeField(std::string_view key) const {
  return fmt::format("{}: {}{}", source_, prefix_, key);
}

tl::unexpected<Error> ConfigReader::wrong(std::string_view key, std::string_view expected) const {
  const auto* value = find(key);
  if (value == nullptr) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is missing; it must be {}.", describeField(key), expected));
  }
  return fail(ErrorCode::corruptFile,
              fmt::format("{} is {}; it must be {}.", describeField(key), shown(*value), expected));
}

Result<std::int64_t> ConfigReader::integer(std::string_view key, std::int64_t minimum, std::int64_t maximum) const {
  const auto* value = find(key);
  const auto expected = [&] { return fmt::format("a whole number from {} to {}", minimum, maximum); };
  if (value == nullptr || !value->is_number_integer()) return wrong(key, expected());
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(maximum)) {
    return wrong(key, expected());
  }
  const auto number = value->get<std::int64_t>();
  if (number < minimum || number > maximum) return wrong(key, expected());
  return number;
}

Result<std::int64_t> ConfigReader::integerOr(std::string_view key, std::int64_t absent, std::int64_t minimum,
                                             std::int64_t maximum) const {
  if (!has(key)) return absent;
  return integer(key, minimum, maximum);
}

Result<double> ConfigReader::positive(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !isPositive(*value)) return wrong(key, "a finite number above 0");
  return value->get<double>();
}

Result<double> ConfigReader::positiveOr(std::string_view key, double absent) const {
  if (!has(key)) return absent;
  return positive(key);
}

Result<double> ConfigReader::nonNegativeOr(std::string_view key, double absent) const {
  const auto* value = find(key);
  if (value == nullptr) return absent;
  if (value->is_number() && value->get<double>() == 0) return 0.0;
  if (!isPositive(*value)) return wrong(key, "a finite number, 0 or above");
  return value->get<double>();
}

Result<bool> ConfigReader::booleanOr(std::string_view key, bool absent) const {
  const auto* value = find(key);
  if (value == nullptr) return absent;
  if (!value->is_boolean()) return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> ConfigReader::stringOr(std::string_view key, std::string absent) const {
  const auto* value = find(key);
  if (value == nullptr) return absent;
  if (!value->is_string()) return wrong(key, "a string");
  return value->get<std::string>();
}

Result<std::vector<double>> ConfigReader::positiveList(std::string_view key, std::size_t count) const {
  const auto* value = find(key);
  const auto expected = [&] { return fmt::format("a list of {} finite numbers above 0", count); };
  if (value == nullptr || !value->is_array() || value->size() != count) return wrong(key, expected());
  std::vector<double> numbers;
  numbers.reserve(count);
  for (const auto& element : *value) {
    if (!isPositive(element)) {
      return fail(ErrorCode::corruptFile, fmt::format("{}[{}] is {}; it must be a finite number above 0.",
                                                      describeField(key), numbers.size(), shown(element)));
    }
    numbers.push_back(element.get<double>());
  }
  return numbers;
}

Result<std::vector<std::int64_t>> ConfigReader::integerList(std::string_view key, std::int64_t minimum,
                                                            std::int64_t maximum,
                                                            std::optional<std::size_t> count) const {
  const auto* value = find(key);
  const auto expected = [&] {
    return fmt::format("a list of {}whole numbers from {} to {}", count ? fmt::format("{} ", *count) : "", minimum,
                       maximum);
  };
  if (value == nullptr || !value->is_array() || (count && value->size() != *count)) return wrong(key, expected());
  std::vector<std::int64_t> numbers;
  numbers.reserve(value->size());
  for (const auto& element : *value) {
    const bool isHuge =
        element.is_number_unsigned() && element.get<std::uint64_t>() > static_cast<std::uint64_t>(maximum);
    if (!element.is_number_integer() || isHuge || element.get<std::int64_t>() < minimum ||
        element.get<std::int64_t>() > maximum) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}[{}] is {}; it must be a whole number from {} to {}.", describeField(key),
                              numbers.size(), shown(element), minimum, maximum));
    }
    numbers.push_back(element.get<std::int64_t>());
  }
  return numbers;
}

Result<std::vector<std::string>> ConfigReader::stringList(std::string_view key, std::size_t count) const {
  const auto* value = find(key);
  const auto expected = [&] { return fmt::format("a list of {} strings", count); };
  if (value == nullptr || !value->is_array() || value->size() != count) return wrong(key, expected());
  std::vector<std::string> strings;
  strings.reserve(count);
  for (const auto& element : *value) {
    if (!element.is_string()) return wrong(key, expected());
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

Result<ConfigReader> ConfigReader::object(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_object()) return wrong(key, "an object");
  return ConfigReader(*value, source_, fmt::format("{}{}.", prefix_, key));
}

Result<ConfigReader> ConfigReader::objectOrEmpty(std::string_view key) const {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  return has(key) ? object(key) : ConfigReader(kEmpty, source_, prefix_);
}

}  // namespace kvista
