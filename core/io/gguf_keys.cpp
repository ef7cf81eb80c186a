// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/gguf_keys.h"

#include <fmt/format.h>

#include <cmath>
#include <variant>

namespace kvista {

namespace {

constexpr std::size_t kMaximumLayers = 1 << 16;

}  // namespace

std::string GgufKeys::key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }

bool GgufKeys::hasLayerTensor(std::string_view name) const {
  return file_->tensor(fmt::format("blk.0.{}", name)) != nullptr;
}

Result<std::optional<std::int64_t>> GgufKeys::integer(std::string_view name) const {
  const std::string full = key(name);
  const GgufValue* value = file_->find(full);
  if (value == nullptr || !std::holds_alternative<GgufArray>(*value)) return file_->integer(full);
  KVISTA_ASSIGN(const auto numbers, file_->numbers(full, kMaximumLayers));
  if (numbers.empty()) return file_->corrupt(fmt::format("metadata key '{}' is an empty array.", full));
  for (const double number : numbers)
    if (number != numbers.front())
      return file_->unsupported(
          fmt::format("metadata key '{}' differs between layers ({} and {}), which is not supported.", full,
                      numbers.front(), number));
  if (!(numbers.front() >= 0 && numbers.front() < 0x1p53) || numbers.front() != std::floor(numbers.front()))
    return file_->corrupt(fmt::format("metadata key '{}' must hold integers.", full));
  return static_cast<std::int64_t>(numbers.front());
}

Result<std::int64_t> GgufKeys::required(std::string_view name) const {
  KVISTA_ASSIGN(const auto value, integer(name));
  if (!value) return file_->corrupt(fmt::format("metadata key '{}' is missing.", key(name)));
  if (*value == 0) return file_->corrupt(fmt::format("metadata key '{}' is 0.", key(name)));
  return *value;
}

Result<double> GgufKeys::requiredReal(std::string_view name) const {
  KVISTA_ASSIGN(const auto value, real(name));
  if (!value) return file_->corrupt(fmt::format("metadata key '{}' is missing.", key(name)));
  return *value;
}

}  // namespace kvista
