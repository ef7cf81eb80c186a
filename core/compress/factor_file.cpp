// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/factor_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/compress/planner.h"
#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

constexpr const char* kDescription = "kvista.factors";

}  // namespace

Result<void> saveFactors(const std::filesystem::path& file, const CompressionPlan& plan, const PlanFactors& factors,
                         const std::string& modelHash, const Task& task) {
  NamedTensors tensors;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i].isIdentity()) continue;
    for (const auto& [name, tensor] : kFactorTensors)
      if ((factors[i].*tensor).defined()) tensors.emplace_back(fmt::format("{}.{}", i, name), factors[i].*tensor);
  }
  const nlohmann::json description = {{"plan", fingerprint(plan)}, {"model", modelHash}};
  return writeTensorFile(file, tensors, {{kDescription, description.dump()}}, task);
}

Result<PlanFactors> factorsOfPlan(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                  const std::filesystem::path& file, const std::string& modelHash, const Task& task,
                                  const ProcessGroup& processes) {
  return file.empty() ? makeFactors(decoder, statistics, plan, task, processes)
                      : loadFactors(file, plan, decoder.shape(), modelHash);
}

Result<PlanFactors> loadFactors(const std::filesystem::path& file, const CompressionPlan& plan, const ModelShape& shape,
                                const std::string& modelHash) {
  KVISTA_ASSIGN(const TensorFile reader, TensorFile::open(file));
  const auto description = parseJson(reader.text(kDescription), file.string());
  if (!description || !description->is_object() || !description->contains("plan") || !description->contains("model"))
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no factors of a plan.", file.string()),
                "Refine the plan again.");
  if (description->at("plan") != fingerprint(plan) || description->at("model") != modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The factors {} are those of another plan or model.", file.string()),
                "Refine the plan again, or take the project's \"refined\" entry out.");
  if (const auto problems = validate(plan, shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, "The plan does not fit the model: " + problems.front());
  PlanFactors factors(plan.groups.size());
  const std::int64_t inputs = readsInputs(plan, shape) ? shape.hiddenSize : 0;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const Group& group = plan.groups[i];
    if (group.isUncompressed()) continue;
    factors[i].widths = latentWidths(group);
    factors[i].trellis = plan.trellis;
    for (const auto& [name, tensor] : kFactorTensors) {
      const std::vector<std::int64_t> sizes = factorSizes(plan, group, tensor, inputs);
      if (sizes.empty()) continue;
      KVISTA_ASSIGN(factors[i].*tensor, reader.read(fmt::format("{}.{}", i, name), at::kFloat, sizes));
      if (!(factors[i].*tensor).isfinite().all().item<bool>())
        return fail(ErrorCode::corruptFile,
                    fmt::format("{}: the factors of group {} hold NaN or infinity.", file.string(), i),
                    "Refine the plan again.");
    }
  }
  return factors;
}

}  // namespace kvista
