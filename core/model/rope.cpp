// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/rope.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <string_view>

#include "core/model/config_reader.h"

namespace kvista {

namespace {

constexpr std::int64_t kMaximumLength = std::int64_t{1} << 40;
constexpr std::int64_t kPhi3Length = 4096;  // what Phi-3 was trained for, unless its file says otherwise

/// Fields are read from the rope object first, then from the top level, where 4.x files keep some of them.
struct RopeFields {
  ConfigReader rope;
  ConfigReader top;
  std::int64_t maximumPositions;
  bool isPhi3;

  [[nodiscard]] Result<std::int64_t> trainedLength() const {
    constexpr std::string_view key = "original_max_position_embeddings";
    if (isPhi3) return top.integerOr(key, kPhi3Length, 1, kMaximumLength);
    const auto& reader = rope.has(key) ? rope : top;
    return reader.integerOr(key, maximumPositions, 1, kMaximumLength);
  }
  /// The stretch, or what the two lengths say when the file leaves it out.
  [[nodiscard]] Result<double> factorOrRatio(std::int64_t trained) const {
    return rope.positiveOr("factor", static_cast<double>(maximumPositions) / static_cast<double>(trained));
  }
};

double yarnTemperature(double factor, double scale) { return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0; }

/// Pair index (fractional) that turns `rotations` times within the trained length.
double yarnPair(const RopeDescription& rope, double rotations) {
  const double length = static_cast<double>(rope.trainedLength);
  return rope.rotaryDim * std::log(length / (rotations * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
}

Result<void> readLinear(const RopeFields& fields, RopeDescription& rope) {
  KVISTA_ASSIGN(rope.factor, fields.rope.positive("factor"));
  return {};
}

Result<void> readDynamic(const RopeFields& fields, RopeDescription& rope) {
  KVISTA_ASSIGN(const double stretch, fields.rope.positiveOr("alpha", 0));
  if (stretch > 0 && rope.rotaryDim > 2) {  // Hunyuan's: as if the sequence always had one length
    rope.type = RopeType::standard;
    rope.theta *= std::pow(stretch, rope.rotaryDim / (rope.rotaryDim - 2.0));
    return {};
  }
  KVISTA_ASSIGN(rope.factor, fields.rope.positive("factor"));
  if (rope.rotaryDim <= 2) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: dynamic RoPE needs more than 2 rotary dimensions, not {}.", fields.rope.source(),
                            rope.rotaryDim));
  }
  if (rope.factor < 1) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; dynamic RoPE needs at least 1.",
                                                    fields.rope.describeField("factor"), rope.factor));
  }
  rope.trainedLength = fields.maximumPositions;
  return {};
}

Result<void> readLlama3(const RopeFields& fields, RopeDescription& rope) {
  KVISTA_ASSIGN(rope.factor, fields.rope.positive("factor"));
  KVISTA_ASSIGN(rope.trainedLength, fields.trainedLength());
  KVISTA_ASSIGN(rope.lowFrequencyFactor, fields.rope.positive("low_freq_factor"));
  KVISTA_ASSIGN(rope.highFrequencyFactor, fields.rope.positive("high_freq_factor"));
  if (rope.highFrequencyFactor <= rope.lowFrequencyFactor) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; it must be above low_freq_factor {}.",
                                                    fields.rope.describeField("high_freq_factor"),
                                                    rope.highFrequencyFactor, rope.lowFrequencyFactor));
  }
  return {};
}

Result<void> readYarn(const RopeFields& fields, RopeDescription& rope) {
  KVISTA_ASSIGN(rope.trainedLength, fields.trainedLength());
  KVISTA_ASSIGN(rope.factor, fields.factorOrRatio(rope.trainedLength));
  if (rope.theta <= 1) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is {}; yarn needs a value above 1.",
                                                    fields.rope.describeField("rope_theta"), rope.theta));
  }
  double temperature = yarnTemperature(rope.factor, 1);
  KVISTA_ASSIGN(const double scale, fields.rope.nonNegativeOr("mscale", 0));  // 0 means "not given"
  KVISTA_ASSIGN(const double scaleAll, fields.rope.nonNegativeOr("mscale_all_dim", 0));
  if (scale > 0 && scaleAll > 0) {
    temperature = yarnTemperature(rope.factor, scale) / yarnTemperature(rope.factor, scaleAll);
  }
  KVISTA_ASSIGN(rope.attentionFactor, fields.rope.positiveOr("attention_factor", temperature));
  KVISTA_ASSIGN(const double fast, fields.rope.positiveOr("beta_fast", 32));
  KVISTA_ASSIGN(const double slow, fields.rope.positiveOr("beta_slow", 1));
  KVISTA_ASSIGN(const bool truncate, fields.rope.booleanOr("truncate", true));
  rope.rampLow = yarnPair(rope, fast);
  rope.rampHigh = yarnPair(rope, slow);
  if (truncate) {
    rope.rampLow = std::floor(rope.rampLow);
    rope.rampHigh = std::ceil(rope.rampHigh);
  }
  rope.rampLow = std::max(rope.rampLow, 0.0);
  rope.rampHigh = std::min(rope.rampHigh, rope.rotaryDim - 1.0);
  if (rope.rampLow == rope.rampHigh) rope.rampHigh += 0.001;
  return {};
}

Result<void> readLongrope(const RopeFields& fields, RopeDescription& rope) {
  const auto pairs = static_cast<std::size_t>(rope.rotaryDim / 2);
  KVISTA_ASSIGN(rope.factors, fields.rope.positiveList("short_factor", pairs));
  KVISTA_ASSIGN(rope.longFactors, fields.rope.positiveList("long_factor", pairs));
  KVISTA_ASSIGN(rope.trainedLength, fields.trainedLength());
  KVISTA_ASSIGN(rope.factor, fields.factorOrRatio(rope.trainedLength));
  double temperature = 1;
  if (rope.factor > 1) {
    if (rope.trainedLength < 2 && !fields.rope.has("attention_factor")) {
      return fail(ErrorCode::corruptFile,
                  fmt::format("{}: longrope needs original_max_position_embeddings above 1.", fields.rope.source()));
    }
    temperature = std::sqrt(1 + std::log(rope.factor) / std::log(static_cast<double>(rope.trainedLength)));
  }
  KVISTA_ASSIGN(rope.attentionFactor, fields.rope.positiveOr("attention_factor", temperature));
  return {};
}

Result<void> readFactors(const RopeFields& fields, RopeDescription& rope) {
  KVISTA_ASSIGN(rope.factors, fields.rope.positiveList("factors", static_cast<std::size_t>(rope.rotaryDim / 2)));
  return {};
}

struct RopeKind {
  std::string_view name;
  RopeType type;
  Result<void> (*read)(const RopeFields&, RopeDescription&);
};

constexpr std::array kRopeKinds = {
    RopeKind{"default", RopeType::standard, nullptr},
    RopeKind{"linear", RopeType::linear, readLinear},
    RopeKind{"dynamic", RopeType::dynamic, readDynamic},
    RopeKind{"llama3", RopeType::llama3, readLlama3},
    RopeKind{"yarn", RopeType::yarn, readYarn},
    RopeKind{"longrope", RopeType::longrope, readLongrope},
    RopeKind{"factors", RopeType::factors, readFactors},
    RopeKind{"mrope", RopeType::standard, nullptr},  // of text alone: all of a token's positions are the same
};

/// The object that describes the rope; an empty one where there is none.
Result<ConfigReader> ropeObject(const ConfigReader& config, const RopeConventions& conventions) {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(key) || (key == "rope_scaling" && !conventions.isScaled)) continue;
    KVISTA_ASSIGN(ConfigReader object, config.object(key));
    if (object.isEmpty()) continue;
    if (conventions.layerType.empty() || key == "rope_scaling") return object;
    if (object.has(conventions.layerType)) return object.object(conventions.layerType);
  }
  return ConfigReader(kEmpty, config.source());
}

/// The name of the object's type; `rope_type` is the newer key.
Result<std::string> ropeType(const ConfigReader& object) {
  KVISTA_ASSIGN(const std::string legacyName, object.stringOr("type", "default"));
  return object.stringOr("rope_type", legacyName);
}

/// How many of a head's numbers rotate.
Result<int> readRotaryDim(const ConfigReader& object, const ConfigReader& config, int headDim,
                          const RopeConventions& conventions) {
  constexpr std::string_view key = "partial_rotary_factor";
  const bool isWhole = conventions.fractionKey.empty();
  const std::string_view topKey = isWhole ? key : conventions.fractionKey;
  const ConfigReader& reader = object.has(key) ? object : config;
  const std::string_view readKey = object.has(key) ? key : topKey;
  KVISTA_ASSIGN(const double fraction, reader.positiveOr(readKey, conventions.fraction));
  if (fraction > 1 || (isWhole && fraction != 1)) {
    return fail(isWhole && fraction < 1 ? ErrorCode::unsupportedModel : ErrorCode::corruptFile,
                fmt::format("{} is {}; {}.", reader.describeField(readKey), fraction,
                            isWhole ? "this family rotates whole heads (1)" : "at most the whole head (1) can rotate"));
  }
  const int rotaryDim = static_cast<int>(headDim * fraction);
  if (rotaryDim < 2 || rotaryDim % 2 != 0) {
    return fail(
        ErrorCode::corruptFile,
        fmt::format("{}: {} of a head's {} numbers rotate; rotary embedding needs an even number of them, 2 or more.",
                    config.source(), rotaryDim, headDim));
  }
  return rotaryDim;
}

}  // namespace

Result<RopeDescription> readRope(const ConfigReader& config, int headDim, const RopeConventions& conventions) {
  KVISTA_ASSIGN(const ConfigReader object, ropeObject(config, conventions));
  const RopeFields fields{object, config, conventions.maximumPositions, conventions.isPhi3};

  RopeDescription rope;
  rope.isInterleaved = conventions.isInterleaved;
  const bool hasOwnTheta = object.has("rope_theta");
  KVISTA_ASSIGN(
      rope.theta,
      (hasOwnTheta ? object : config).positiveOr(hasOwnTheta ? "rope_theta" : conventions.thetaKey, conventions.theta));
  KVISTA_ASSIGN(rope.rotaryDim, readRotaryDim(object, config, headDim, conventions));
  KVISTA_ASSIGN(std::string name, ropeType(object));
  if (conventions.isPhi3 && (name == "su" || name == "yarn")) name = "longrope";
  const auto* const kind = std::ranges::find(kRopeKinds, std::string_view(name), &RopeKind::name);
  if (kind == kRopeKinds.end()) {
    std::vector<std::string_view> supported;
    for (const auto& known : kRopeKinds) supported.push_back(known.name);
    return fail(ErrorCode::unsupportedModel, fmt::format("{}: rope_type '{}' is not supported; supported: {}.",
                                                         config.source(), name, fmt::join(supported, ", ")));
  }
  rope.type = kind->type;
  if (kind->read != nullptr) KVISTA_CHECK(kind->read(fields, rope));
  return rope;
}

Result<double> readScoreTemperature(const ConfigReader& config) {
  KVISTA_ASSIGN(const ConfigReader object, ropeObject(config, {}));
  KVISTA_ASSIGN(const std::string type, ropeType(object));
  KVISTA_ASSIGN(const double scaleAll, object.nonNegativeOr("mscale_all_dim", 0));
  if (type == "default" || scaleAll == 0) return 1.0;
  KVISTA_ASSIGN(const double factor, object.positive("factor"));
  const double temperature = yarnTemperature(factor, scaleAll);
  return temperature * temperature;
}

std::vector<double> inverseFrequencies(const RopeDescription& rope, std::int64_t sequenceLength) {
  const int dim = rope.rotaryDim;
  const auto pairs = static_cast<std::size_t>(dim / 2);
  const double trained = static_cast<double>(rope.trainedLength);

  double theta = rope.theta;
  if (rope.type == RopeType::dynamic && sequenceLength > rope.trainedLength) {
    const double growth = rope.factor * static_cast<double>(sequenceLength) / trained - (rope.factor - 1);
    theta *= std::pow(growth, dim / (dim - 2.0));
  }
  std::vector<double> frequencies(pairs);
  for (std::size_t j = 0; j < pairs; ++j) frequencies[j] = std::pow(theta, -2.0 * static_cast<double>(j) / dim);

  const auto eachPair = [&](auto&& change) {
    for (std::size_t j = 0; j < pairs; ++j) frequencies[j] = change(frequencies[j], j);
  };
  switch (rope.type) {
    case RopeType::standard:
    case RopeType::dynamic:
      break;
    case RopeType::linear:
      eachPair([&](double frequency, std::size_t) { return frequency / rope.factor; });
      break;
    case RopeType::llama3:
      eachPair([&](double frequency, std::size_t) {
        const double wavelengths = trained * frequency / (2 * std::numbers::pi);  // turns within the trained length
        const double keep = std::clamp(
            (wavelengths - rope.lowFrequencyFactor) / (rope.highFrequencyFactor - rope.lowFrequencyFactor), 0.0, 1.0);
        return (1 - keep) * frequency / rope.factor + keep * frequency;
      });
      break;
    case RopeType::yarn:
      eachPair([&](double frequency, std::size_t j) {
        const double ramp =
            std::clamp((static_cast<double>(j) - rope.rampLow) / (rope.rampHigh - rope.rampLow), 0.0, 1.0);
        return frequency / rope.factor * ramp + frequency * (1 - ramp);
      });
      break;
    case RopeType::longrope:
    case RopeType::factors: {
      const bool isLong = rope.type == RopeType::longrope && sequenceLength > rope.trainedLength;
      const auto& divisors = isLong ? rope.longFactors : rope.factors;
      eachPair([&](double frequency, std::size_t j) { return frequency / divisors[j]; });
      break;
    }
  }
  return frequencies;
}

}  // namespace kvista
