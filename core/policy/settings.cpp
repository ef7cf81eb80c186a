// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/policy/policy.h"

namespace kvista {
namespace {

constexpr double kMostTokens = 1 << 24, kMostLayers = 1 << 16;

std::optional<double> parsed(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::vector<PolicyOption> Policy::allOptions() const {
  std::vector<PolicyOption> all = options;
  if (makeScorer == nullptr) return all;
  all.push_back({"sinks", fmt::format("{}", sinks), "first tokens that always stay", 0, kMostTokens});
  all.push_back({"window", fmt::format("{}", window), "last tokens that always stay", 0, kMostTokens});
  all.push_back({"exempt", fmt::format("{}", exemptLayers), "first layers that keep all their tokens", 0, kMostLayers});
  return all;
}

Result<PolicySettings> PolicySettings::of(std::string_view policy, const std::vector<PolicyOption>& options,
                                          const std::map<std::string, std::string>& asked) {
  PolicySettings settings;
  for (const PolicyOption& option : options) settings.values_[std::string(option.name)] = option.standard;
  for (const auto& [name, value] : asked) {
    const auto option = std::ranges::find(options, name, &PolicyOption::name);
    if (option == options.end()) {
      std::vector<std::string_view> names;
      for (const PolicyOption& known : options) names.push_back(known.name);
      return fail(ErrorCode::invalidArgument, fmt::format("The policy {} has no option \"{}\".", policy, name),
                  names.empty() ? "It has none." : fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
    }
    if (!option->isWord) {
      const std::optional<double> number = parsed(value);
      const bool isWhole = option->standard.find('.') == std::string::npos;
      const std::string_view kind = isWhole ? "whole number" : "number";
      if (!number || *number < option->least || *number > option->most || (isWhole && std::floor(*number) != *number))
        return fail(ErrorCode::invalidArgument,
                    fmt::format("The option {} of the policy {} is \"{}\".", name, policy, value),
                    std::isinf(option->most)
                        ? fmt::format("It must be a {} of at least {}.", kind, option->least)
                        : fmt::format("It must be a {} between {} and {}.", kind, option->least, option->most));
    }
    settings.values_[name] = value;
  }
  return settings;
}

double PolicySettings::number(std::string_view option) const {
  return parsed(values_.find(option)->second).value_or(0);
}

const std::string& PolicySettings::word(std::string_view option) const { return values_.find(option)->second; }

}  // namespace kvista
