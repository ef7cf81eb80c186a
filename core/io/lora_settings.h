// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
// What an adapter's configuration says about the factors of each module.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace kvista {

/// adapter_config.json of a LoRA adapter, checked to hold nothing that merging B A alpha / r would leave out.
class LoraSettings {
 public:
  /// `config` outlives it. Errors (unsupportedModel, corruptFile) name `file` and field.
  static Result<LoraSettings> read(const nlohmann::json& config, const std::filesystem::path& file);

  /// What B A is multiplied by: alpha / r, or alpha / sqrt(r) (rslora). Error: `rank`, that of the factors, is not the
  /// one said here.
  [[nodiscard]] Result<float> scale(std::string_view module, std::int64_t rank) const;
  /// Weights lie as [in, out] where shapes do not tell.
  [[nodiscard]] bool isTurned() const { return isTurned_; }

 private:
  LoraSettings(const nlohmann::json& config, std::filesystem::path file) : config_(config), file_(std::move(file)) {}
  [[nodiscard]] tl::unexpected<Error> unsupported(const std::string& what) const;
  [[nodiscard]] Result<double> number(const char* key, const char* patternKey, std::string_view module) const;

  const nlohmann::json& config_;
  std::filesystem::path file_;
  bool isTurned_ = false, isRankStabilised_ = false;
};

}  // namespace kvista
