// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/checkpoint/export_checkpoint.h"
#include "core/compress/factors.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista::test {

template <class T>
T valueOf(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message + " " + result.error().detail);
  return *std::move(result);
}

/// A tiny model of random weights in a folder: 2 layers, 4 query and 2 KV heads of 8.
struct TinyModel {
  std::filesystem::path folder;
  Checkpoint checkpoint;
  std::shared_ptr<const Decoder> decoder;
};
/// `changes` are put into a Llama configuration ("model_type": "qwen2" gives biases, "qwen3" head norms).
TinyModel tinyModel(const std::filesystem::path& folder, const nlohmann::json& changes = nlohmann::json::object(),
                    at::ScalarType type = at::kFloat);

/// One whose heads are 32 wide, of a hidden size that they do not make.
constexpr int kWideHead = 32;
TinyModel wideModel(const std::filesystem::path& folder, const nlohmann::json& changes = nlohmann::json::object());

/// One group of a plan, widths in any order; `identity`: no factors.
Group group(int layer, std::vector<std::string> slots, std::vector<std::uint8_t> widths);
/// `count` widths of `bits`.
std::vector<std::uint8_t> widths(int count, int bits);
std::vector<std::uint8_t> operator+(std::vector<std::uint8_t> a, const std::vector<std::uint8_t>& b);

/// Plans by name: "joint", "separate", "coded" (4 exact tokens), "codedAll" (none exact), "afterRope", "mixed" (some
/// groups whole, one dropped), "whole"; "chained" and "chainedAll" are "coded" with a chain, with 4 exact tokens and
/// none, "numbered" and "numberedAll" with token numbers in the first layer, the latter in a chain; "centred" and
/// "codedCentred" are "joint" and "coded" around a mean.
CompressionPlan planNamed(const std::string& name);
/// For a wide model: every head by itself keeps `rank` numbers of 16 bits, in both layers; in the order K0, K1, V0, V1.
CompressionPlan headwisePlan(const std::function<int(Side side, int head)>& rank);
/// Random factors for it; groups of 16 bits everywhere are the identity.
PlanFactors randomFactors(const CompressionPlan& plan);

Result<ExportReport> exportTo(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                              const PlanFactors& factors, const std::string& form);

/// What an export that computes the plan said and is: as read back it has the plan's logits, which are not the
/// original's.
struct CheckedExport {
  ExportReport report;
  std::shared_ptr<const Decoder> decoder;
};
CheckedExport checkExport(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                          const PlanFactors& factors, const std::string& form);
/// Message and hint of an export that is refused as an invalid argument with nothing written; "written" where it is not
/// refused.
std::string refusalOf(const std::filesystem::path& target, const TinyModel& model, const CompressionPlan& plan,
                      const PlanFactors& factors, const std::string& form);

/// A tensor in float64.
at::Tensor weightOf(const Checkpoint& checkpoint, const std::string& name);
/// What the biases of values add behind the output projection of a layer's attention, of 4 query and 2 KV heads of
/// `width`.
at::Tensor outputOfValueBiases(const Checkpoint& checkpoint, const std::string& attention, int width);

/// Logits [1, 12, vocabulary] of some ids.
at::Tensor logitsOf(const Decoder& decoder, const CompressionPlan* plan = nullptr, const PlanFactors& factors = {});
double largestDifference(const at::Tensor& a, const at::Tensor& b);

}  // namespace kvista::test
