// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/option_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

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

CLI::Validator byteSize() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        static const std::map<std::string, double> kUnits = {{"", 1},         {"b", 1},       {"kb", 1e3},
                                                             {"mb", 1e6},     {"gb", 1e9},    {"kib", 0x1p10},
                                                             {"mib", 0x1p20}, {"gib", 0x1p30}};
        const std::size_t unitBegin = std::min(text.find_first_not_of("0123456789."), text.size());
        std::string unit = text.substr(unitBegin);
        std::ranges::transform(unit, unit.begin(), [](char letter) {
          return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
        });
        const auto value = parse<double>(text.substr(0, unitBegin));
        const auto factor = kUnits.find(unit);
        if (!value || factor == kUnits.end() || *value * factor->second < 1 || *value * factor->second > 0x1p62)
          return fmt::format("\"{}\", but must be a size such as 5GB, 500MB or 2GiB.", text);
        text = fmt::format("{}", static_cast<std::uint64_t>(*value * factor->second));
        return {};
      },
      {});
}

CLI::Validator wholeNumber(std::int64_t least, std::int64_t most) {
  const bool bounded = most != std::numeric_limits<std::int64_t>::max();
  return check<std::int64_t>(bounded ? fmt::format("a whole number from {} to {}", least, most)
                                     : fmt::format("a whole number of at least {}", least),
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

CLI::Validator someText(std::string what) {
  return CLI::Validator(
      [what = std::move(what)](std::string& text) {
        return text.empty() ? fmt::format("\"\", but must be {}.", what) : std::string();
      },
      {});
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
