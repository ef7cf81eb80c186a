// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/key_variants.h"

#include <fmt/format.h>

#include <numeric>

#include "core/compress/plan_transform.h"
#include "core/compress/planner.h"
#include "core/evaluate/plan_errors.h"
#include "core/plan/key_variants.h"

namespace kvista {
namespace {

double meanOf(const Matrix& matrix) {
  const double sum = std::accumulate(matrix.values.begin(), matrix.values.end(), 0.0);
  return matrix.values.empty() ? 0 : sum / static_cast<double>(matrix.values.size());
}

}  // namespace

Result<std::vector<VariantErrors>> compareKeyVariants(const Decoder& decoder, const Statistics& statistics,
                                                      const CompressionPlan& plan, const Task& task) {
  if (!hasKeyVariants(plan))
    return fail(ErrorCode::invalidArgument,
                fmt::format("The plan (method {}) does not compress keys after RoPE at 16 bits in a cache of each "
                            "layer's own, which is where the variants can "
                            "be compared.",
                            plan.method),
                "Make one with `kvista plan --method kqsvd`.");
  std::vector<VariantErrors> variants;
  for (const std::string_view name : {"kqsvd", "ksvd", "eigen"}) {
    KVISTA_ASSIGN(const Method* method, findMethod(name));
    CompressionPlan variant = plan;
    variant.method = name;
    variant.metric = method->metric;
    variant.damping = 0;
    KVISTA_ASSIGN(const PlanFactors factors, factorsOfStatistics(decoder, &statistics, variant, task));
    const PlanTransform transform(variant, factors, decoder.shape(), decoder.options().device);
    KVISTA_ASSIGN(const MeasuredErrors errors, measureErrors(decoder, statistics, transform, task));
    variants.push_back({std::string(name), meanOf(errors.keys), meanOf(errors.values), meanOf(errors.logits),
                        meanOf(errors.attentionOutputs)});
  }
  return variants;
}

}  // namespace kvista
