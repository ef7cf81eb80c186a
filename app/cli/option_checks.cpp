// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/option_checks.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/cli/nearest_name.h"

namespace kvista {
namespace {

/// The number that the whole of a text says.
template <class Number>
std::optional<Number> parse(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

template <class Number, class Allowed>
CLI::Validator check(std::string range, Allowed allowed) {
  return CLI::Validator(
      [range = std::move(range), allowed](std::string& text) -> std::string {
        if (const auto value = parse<Number>(text); value && allowed(*value)) return {};
        return fmt::format("\"{}\", but must be {}.", text, range);
      },
      {});
}

}  // namespace

CLI::Validator wholeNumber(std::int64_t least, std::int64_t most) {
  const bool bounded = most != std::numeric_limits<std::int64_t>::max();
  return check<std::int64_t>(bounded ? fmt::format("a whole number from {} to {}", least, most) : fmt::format("a whole number of at least {}", least),
                             [=](std::int64_t value) { return value >= least && value <= most; });
}

CLI::Validator numberAtLeast(double least) {
  return check<double>(fmt::format("a number of at least {}", least),
                       [=](double value) { return std::isfinite(value) && value >= least; });
}

CLI::Validator positiveNumber(double most) {
  const bool bounded = most < std::numeric_limits<double>::max();
  return check<double>(bounded ? fmt::format("a number above 0 and at most {}", most) : "a number above 0",
                       [=](double value) { return std::isfinite(value) && value > 0 && value <= most; });
}

CLI::Validator oneOf(std::vector<std::string> names) {
  const std::string known = fmt::format("{}", fmt::join(names, ", "));
  return CLI::Validator(
      [names = std::move(names), known](std::string& text) -> std::string {
        if (std::ranges::find(names, text) != names.end()) return {};
        return fmt::format("\"{}\", but must be one of: {}.\n{}", text, known, didYouMean(text, names));
      },
      fmt::format("{{{}}}", known));
}

}  // namespace kvista
