// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/lora_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "core/io/json_file.h"

namespace kvista {
namespace {

constexpr double kLargestRank = 1 << 20, kLargestAlpha = 1e9;

/// Is it there and neither null, false nor empty?
bool isSet(const nlohmann::json& config, const char* key) {
  const auto field = config.find(key);
  if (field == config.end() || field->is_null()) return false;
  return field->is_boolean() ? field->get<bool>() : !(field->is_structured() && field->empty());
}

}  // namespace

tl::unexpected<Error> LoraSettings::unsupported(const std::string& what) const {
  return fail(ErrorCode::unsupportedModel, fmt::format("{} {}.", file_.string(), what),
              "Merge the adapter with PEFT (merge_and_unload) and open the model that this gives.");
}

Result<LoraSettings> LoraSettings::read(const nlohmann::json& config, const std::filesystem::path& file) {
  LoraSettings settings(config, file);
  const auto type = config.find("peft_type");
  if (type == config.end() || *type != "LORA")
    return settings.unsupported(fmt::format("is of peft_type {}, where LORA is read",
                                            type == config.end() ? "unknown" : type->dump().substr(0, 60)));
  // What changes the sum W + B A alpha / r.
  for (const char* key : {"use_dora", "lora_bias", "use_qalora", "layer_replication", "alora_invocation_tokens",
                          "trainable_token_indices", "target_parameters"})
    if (isSet(config, key)) return settings.unsupported(fmt::format("asks for {}, which is not read", key));
  // Some beginnings change the model's own weights, which a file of factors does not hold.
  if (const auto begin = config.find("init_lora_weights"); begin != config.end() && begin->is_string())
    if (*begin != "gaussian" && *begin != "eva" && *begin != "orthogonal" && *begin != "true" && *begin != "false")
      return settings.unsupported(fmt::format(
          "says that the model's weights were changed before the adapter was trained (init_lora_weights {})",
          begin->dump().substr(0, 60)));
  settings.isTurned_ = isSet(config, "fan_in_fan_out");
  settings.isRankStabilised_ = isSet(config, "use_rslora");
  return settings;
}

/// `key`, or what the first entry of `patternKey` that ends the module's name says.
Result<double> LoraSettings::number(const char* key, const char* patternKey, std::string_view module) const {
  std::optional<nlohmann::json> found;
  if (isSet(config_, patternKey)) {
    if (!config_[patternKey].is_object())
      return unsupported(fmt::format("has {} as {} instead of an object", kindOf(config_[patternKey]), patternKey));
    for (const auto& [pattern, value] : config_[patternKey].items()) {
      const bool isWhole = pattern.starts_with('^');
      const std::string_view name = std::string_view(pattern).substr(isWhole ? 1 : 0);
      const bool isPlain = std::ranges::all_of(name, [](unsigned char letter) {
        return std::isalnum(letter) != 0 || letter == '_' || letter == '.' || letter == '-';
      });
      if (!isPlain)
        return unsupported(
            fmt::format("has the expression {} in {}, where names are read", quoteForMessage(pattern), patternKey));
      const bool ends =
          module == name || (!isWhole && module.ends_with(name) && module[module.size() - name.size() - 1] == '.');
      if (!ends) continue;
      if (found && *found != value)
        return unsupported(
            fmt::format("says two things about {} in {}", quoteForMessage(std::string(module)), patternKey));
      found = value;
    }
  }
  if (!found && config_.contains(key)) found = config_[key];
  if (!found || !found->is_number())
    return unsupported(fmt::format("has no number as {} of {}", key, quoteForMessage(std::string(module))));
  return found->get<double>();
}

Result<float> LoraSettings::scale(std::string_view module, std::int64_t rank) const {
  KVISTA_ASSIGN(const double said, number("r", "rank_pattern", module));
  KVISTA_ASSIGN(const double alpha, number("lora_alpha", "alpha_pattern", module));
  if (!(said >= 1 && said <= kLargestRank) || static_cast<double>(rank) != said)
    return fail(ErrorCode::corruptFile,
                fmt::format("{} says rank {} for {}, whose factors have rank {}.", file_.string(), said,
                            quoteForMessage(std::string(module)), rank),
                "Configuration and factors must come from the same adapter: get both again.");
  if (!(std::abs(alpha) <= kLargestAlpha)) return unsupported(fmt::format("has {} as lora_alpha", alpha));
  return static_cast<float>(alpha / (isRankStabilised_ ? std::sqrt(said) : said));
}

}  // namespace kvista
