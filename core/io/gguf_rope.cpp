// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/io/gguf_architectures.h"
#include "core/io/gguf_dequantise.h"

namespace kvista {
namespace {

using nlohmann::json;

/// `count` divisors of rotary frequencies; empty when the tensor is not there.
Result<std::vector<double>> readFactors(const GgufFile& file, std::string_view name, std::int64_t count) {
  const GgufTensor* tensor = file.tensor(name);
  if (tensor == nullptr) return std::vector<double>{};
  if (tensor->type != DataType::f32 || tensor->shape != std::vector<std::int64_t>{count})
    return file.corrupt(fmt::format("tensor '{}' must hold {} numbers of type F32, one a frequency.", name, count));
  std::vector<float> factors(static_cast<std::size_t>(count));
  KVISTA_CHECK(dequantise(tensor->type, tensor->bytes, factors));
  for (const float factor : factors)
    if (!(std::isfinite(factor) && factor > 0))
      return file.corrupt(fmt::format("tensor '{}' holds {}; frequency factors are positive.", name, factor));
  return std::vector<double>(factors.begin(), factors.end());
}

/// Divisors of the rotary frequencies (tensor rope_freqs.weight); empty when there are none or all are 1.
Result<std::vector<double>> frequencyFactors(const GgufFile& file, std::int64_t count) {
  KVISTA_ASSIGN(std::vector<double> factors, readFactors(file, "rope_freqs.weight", count));
  for (const double factor : factors)
    if (factor != 1) return factors;
  return std::vector<double>{};
}

Result<std::int64_t> originalLength(const GgufKeys& keys, std::string_view reason) {
  KVISTA_ASSIGN(const auto original, keys.integer("rope.scaling.original_context_length"));
  if (!original || *original == 0)
    return keys.file().corrupt(fmt::format("metadata key '{}' is missing, which {} scaling needs.",
                                           keys.key("rope.scaling.original_context_length"), reason));
  return *original;
}

Result<std::optional<double>> attentionFactor(const GgufKeys& keys) {
  KVISTA_ASSIGN(const auto factor, keys.real("rope.scaling.attn_factor"));
  if (factor) return factor;
  return keys.real("rope.scaling.yarn_attn_factor");
}

Result<json> yarnParameters(const GgufKeys& keys, double theta, double factor) {
  KVISTA_ASSIGN(const std::int64_t original, originalLength(keys, "yarn"));
  json rope = {
      {"rope_type", "yarn"}, {"rope_theta", theta}, {"factor", factor}, {"original_max_position_embeddings", original}};
  KVISTA_ASSIGN(const auto betaFast, keys.real("rope.scaling.yarn_beta_fast"));
  KVISTA_ASSIGN(const auto betaSlow, keys.real("rope.scaling.yarn_beta_slow"));
  KVISTA_ASSIGN(const auto attention, attentionFactor(keys));
  if (betaFast) rope["beta_fast"] = *betaFast;
  if (betaSlow) rope["beta_slow"] = *betaSlow;
  // GGUF's factor multiplies yarn's own magnitude; Hugging Face's replaces it.
  if (attention && *attention != 1)
    rope["attention_factor"] = *attention * (factor > 1 ? 0.1 * std::log(factor) + 1 : 1);
  return rope;
}

/// Phi-3's two lists of divisors; null where there are none.
Result<json> longropeParameters(const GgufKeys& keys, double theta, std::int64_t count) {
  KVISTA_ASSIGN(std::vector<double> shortFactors, readFactors(keys.file(), "rope_factors_short.weight", count));
  KVISTA_ASSIGN(std::vector<double> longFactors, readFactors(keys.file(), "rope_factors_long.weight", count));
  if (shortFactors.empty() != longFactors.empty())
    return keys.file().corrupt("it has one of the tensors 'rope_factors_short.weight' and 'rope_factors_long.weight'.");
  if (shortFactors.empty()) return json();
  KVISTA_ASSIGN(const std::int64_t original, originalLength(keys, "longrope"));
  json rope = {{"rope_type", "longrope"},
               {"rope_theta", theta},
               {"short_factor", std::move(shortFactors)},
               {"long_factor", std::move(longFactors)},
               {"original_max_position_embeddings", original}};
  KVISTA_ASSIGN(const auto attention, attentionFactor(keys));
  if (attention) rope["attention_factor"] = *attention;
  return rope;
}

}  // namespace

Result<json> ggufRope(const GgufKeys& keys, std::int64_t count) {
  const GgufFile& file = keys.file();
  KVISTA_ASSIGN(const auto base, keys.real("rope.freq_base"));
  const double theta = base.value_or(10000.0);
  KVISTA_ASSIGN(json longrope, longropeParameters(keys, theta, count / 2));
  if (!longrope.is_null()) return longrope;
  KVISTA_ASSIGN(auto factor, keys.real("rope.scaling.factor"));
  if (!factor) {
    KVISTA_ASSIGN(factor, keys.real("rope.scale_linear"));  // the key's name in older files
  }
  KVISTA_ASSIGN(const auto named, keys.text("rope.scaling.type"));
  // A factor without a type is a linear one.
  const std::string_view type = named.value_or(factor ? "linear" : "none");
  if (type != "none" && type != "linear" && type != "yarn")
    return file.unsupported(
        fmt::format("metadata key '{}' is '{}', which is not supported; supported: none, linear, yarn.",
                    keys.key("rope.scaling.type"), printable(type)));
  // A factor of 0 is how files say that there is none.
  const bool isScaled = type != "none" && factor && *factor != 0 && *factor != 1;
  if (isScaled && *factor < 0)
    return file.corrupt(
        fmt::format("metadata key '{}' is {}, but must be positive.", keys.key("rope.scaling.factor"), *factor));

  KVISTA_ASSIGN(auto factors, frequencyFactors(file, count / 2));
  if (!factors.empty()) {
    if (isScaled && type == "yarn")
      return file.unsupported("it has both yarn scaling and frequency factors, which is not supported.");
    if (isScaled)
      for (double& divisor : factors) divisor *= *factor;
    return json{{"rope_type", "factors"}, {"rope_theta", theta}, {"factors", std::move(factors)}};
  }
  if (!isScaled) return json{{"rope_type", "default"}, {"rope_theta", theta}};
  if (type == "linear") return json{{"rope_type", "linear"}, {"rope_theta", theta}, {"factor", *factor}};
  return yarnParameters(keys, theta, *factor);
}

}  // namespace kvista
