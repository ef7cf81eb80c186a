// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/protocol/fields.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace kvista {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in bulk travel as they lie in memory");

template <class Number>
nlohmann::json pack(const std::vector<Number>& values, const char* type, std::vector<std::int64_t> shape) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(Number));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return {{"type", type}, {"shape", std::move(shape)}, {"data", nlohmann::json::binary(std::move(bytes))}};
}

template <class Number>
std::vector<Number> unpack(const std::vector<std::uint8_t>* bytes) {
  std::vector<Number> values(bytes ? bytes->size() / sizeof(Number) : 0);
  if (!values.empty()) std::memcpy(values.data(), bytes->data(), values.size() * sizeof(Number));
  return values;
}

std::vector<std::int64_t> lengthOf(std::size_t count) { return {static_cast<std::int64_t>(count)}; }

std::string_view kindOf(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "true or false";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a text";
  if (value.is_array()) return "a list";
  return value.is_binary() ? "bytes" : "a map";
}

}  // namespace

Fields::Fields(const nlohmann::json& value, std::string what) : object_(&value), what_(std::move(what)) {
  if (!value.is_object())
    error_ = Error{ErrorCode::invalidArgument,
                   fmt::format("What was sent as {} is {} instead of a map.", what_, kindOf(value)),
                   {},
                   {}};
}

bool Fields::has(const char* field) const {
  if (!object_->is_object()) return false;
  const auto found = object_->find(field);
  return found != object_->end() && !found->is_null();
}

const nlohmann::json* Fields::find(const char* field) {
  if (has(field)) return &*object_->find(field);
  mistake(field, "is missing");
  return nullptr;
}

void Fields::mistake(const char* field, std::string_view problem) {
  if (!error_)
    error_ = Error{ErrorCode::invalidArgument, fmt::format("The field '{}' of {} {}.", field, what_, problem), {}, {}};
}

void Fields::nested(const char* field, Error error) {
  if (error_) return;
  if (error.detail.empty()) error.detail = fmt::format("In the field '{}' of {}.", field, what_);
  error_ = std::move(error);
}

std::string Fields::text(const char* field) {
  const nlohmann::json* value = find(field);
  if (!value) return {};
  if (value->is_string()) return value->get<std::string>();
  mistake(field, fmt::format("is {} instead of a text", kindOf(*value)));
  return {};
}

bool Fields::boolean(const char* field) {
  const nlohmann::json* value = find(field);
  if (!value) return false;
  if (value->is_boolean()) return value->get<bool>();
  mistake(field, fmt::format("is {} instead of true or false", kindOf(*value)));
  return false;
}

std::int64_t Fields::integer(const char* field, std::int64_t lowest, std::int64_t highest) {
  const nlohmann::json* value = find(field);
  if (!value) return lowest;
  if (!value->is_number_integer()) {
    mistake(field, fmt::format("is {} instead of a whole number", kindOf(*value)));
    return lowest;
  }
  const bool tooLarge =
      value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(kLargestInteger);
  if (!tooLarge && value->get<std::int64_t>() >= lowest && value->get<std::int64_t>() <= highest)
    return value->get<std::int64_t>();
  mistake(field, fmt::format("is {}, it must be {} to {}", value->dump(), lowest, highest));
  return lowest;
}

int Fields::count(const char* field, int lowest, int highest) {
  return static_cast<int>(integer(field, lowest, highest));
}

double Fields::number(const char* field, double lowest, double highest) {
  const nlohmann::json* value = find(field);
  if (!value) return 0;
  if (!value->is_number()) {
    mistake(field, fmt::format("is {} instead of a number", kindOf(*value)));
    return 0;
  }
  const auto number = value->get<double>();
  if (std::isfinite(number) && number >= lowest && number <= highest) return number;
  mistake(field, std::isfinite(number) ? fmt::format("is {}, it must be {} to {}", number, lowest, highest)
                                       : "is not a finite number");
  return 0;
}

const nlohmann::json* Fields::array(const char* field) {
  const nlohmann::json* value = find(field);
  if (!value || value->is_array()) return value;
  mistake(field, fmt::format("is {} instead of a list", kindOf(*value)));
  return nullptr;
}

std::vector<std::string> Fields::texts(const char* field) {
  std::vector<std::string> list;
  const nlohmann::json* value = array(field);
  if (!value) return list;
  list.reserve(value->size());
  for (const nlohmann::json& entry : *value) {
    if (!entry.is_string()) {
      mistake(field, fmt::format("holds {} where a text is needed", kindOf(entry)));
      return {};
    }
    list.push_back(entry.get<std::string>());
  }
  return list;
}

std::vector<double> Fields::numbers(const char* field, double lowest) {
  std::vector<double> list;
  const nlohmann::json* value = array(field);
  if (!value) return list;
  list.reserve(value->size());
  for (const nlohmann::json& entry : *value) {
    const double number = entry.is_number() ? entry.get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!std::isfinite(number) || number < lowest) {
      mistake(field, fmt::format("holds {} where finite numbers of at least {} are needed",
                                 entry.is_number() ? entry.dump() : std::string(kindOf(entry)), lowest));
      return {};
    }
    list.push_back(number);
  }
  return list;
}

std::vector<int> Fields::counts(const char* field, int lowest, int highest) {
  std::vector<int> list;
  const nlohmann::json* value = array(field);
  if (!value) return list;
  for (const nlohmann::json& entry : *value) {
    const bool fits = entry.is_number_integer() && entry >= lowest && entry <= highest;
    if (!fits) {
      mistake(field, fmt::format("holds {} where whole numbers from {} to {} are needed",
                                 entry.is_number() ? entry.dump() : std::string(kindOf(entry)), lowest, highest));
      return {};
    }
    list.push_back(entry.get<int>());
  }
  return list;
}

const std::vector<std::uint8_t>* Fields::packedBytes(const char* field, std::string_view type, std::size_t itemBytes,
                                                     std::size_t dimensions, std::vector<std::int64_t>& shape) {
  const nlohmann::json* value = find(field);
  if (!value) return nullptr;
  Fields inner(*value, fmt::format("'{}' of {}", field, what_));
  const std::string name = inner.text("type");
  const std::vector<int> sizes = inner.counts("shape");
  const nlohmann::json* data = inner.find("data");
  if (inner.error_) {
    nested(field, *inner.error_);
    return nullptr;
  }
  if (name != type || sizes.size() != dimensions || !data->is_binary()) {
    mistake(field, fmt::format("is not {} numbers of type {} in {} dimensions as bytes",
                               itemBytes == 1 ? "whole" : "packed", type, dimensions));
    return nullptr;
  }
  // Each size is at most 2^24 and there are at most two: no product of them overflows.
  std::size_t wanted = itemBytes;
  for (const int size : sizes) {
    wanted *= static_cast<std::size_t>(size);
    shape.push_back(size);
  }
  const std::vector<std::uint8_t>& bytes = data->get_binary();
  if (bytes.size() == wanted) return &bytes;
  mistake(field, fmt::format("has {} bytes where its shape needs {}", bytes.size(), wanted));
  return nullptr;
}

std::vector<float> Fields::floats(const char* field) {
  std::vector<std::int64_t> shape;
  return unpack<float>(packedBytes(field, "float32", sizeof(float), 1, shape));
}

std::vector<double> Fields::doubles(const char* field) {
  std::vector<std::int64_t> shape;
  return unpack<double>(packedBytes(field, "float64", sizeof(double), 1, shape));
}

std::vector<std::uint8_t> Fields::bytes(const char* field) {
  std::vector<std::int64_t> shape;
  return unpack<std::uint8_t>(packedBytes(field, "uint8", 1, 1, shape));
}

Matrix Fields::matrix(const char* field) {
  std::vector<std::int64_t> shape;
  const std::vector<std::uint8_t>* data = packedBytes(field, "float32", sizeof(float), 2, shape);
  if (!data) return {};
  return {static_cast<int>(shape[0]), static_cast<int>(shape[1]), unpack<float>(data)};
}

nlohmann::json packed(const std::vector<float>& values) { return pack(values, "float32", lengthOf(values.size())); }
nlohmann::json packed(const std::vector<double>& values) { return pack(values, "float64", lengthOf(values.size())); }
nlohmann::json packed(const std::vector<std::uint8_t>& values) {
  return pack(values, "uint8", lengthOf(values.size()));
}
nlohmann::json packed(const Matrix& matrix) { return pack(matrix.values, "float32", {matrix.rows, matrix.columns}); }

}  // namespace kvista
