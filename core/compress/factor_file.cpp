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
    tensors.emplace_back(fmt::format("{}.up", i), factors[i].up);
    tensors.emplace_back(fmt::format("{}.down", i), factors[i].down);
    tensors.emplace_back(fmt::format("{}.steps", i), factors[i].steps);
  }
  const nlohmann::json description = {{"plan", fingerprint(plan)}, {"model", modelHash}};
  return writeTensorFile(file, tensors, {{kDescription, description.dump()}}, task);
}

Result<PlanFactors> factorsOfPlan(const Decoder& decoder, const Statistics* statistics, const CompressionPlan& plan,
                                  const std::filesystem::path& file, const std::string& modelHash, const Task& task,
                                  const ProcessGroup& processes) {
  return file.empty() ? makeFactors(decoder, statistics, plan, task, processes) : loadFactors(file, plan, decoder.shape(), modelHash);
}

Result<PlanFactors> loadFactors(const std::filesystem::path& file, const CompressionPlan& plan, const ModelShape& shape,
                                const std::string& modelHash) {
  KVISTA_ASSIGN(const TensorFile reader, TensorFile::open(file));
  const auto description = parseJson(reader.text(kDescription), file.string());
  if (!description || !description->is_object() || !description->contains("plan") || !description->contains("model"))
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no factors of a plan.", file.string()), "Refine the plan again.");
  if (description->at("plan") != fingerprint(plan) || description->at("model") != modelHash)
    return fail(ErrorCode::invalidArgument, fmt::format("The factors {} are those of another plan or model.", file.string()),
                "Refine the plan again, or take the project's \"refined\" entry out.");
  PlanFactors factors(plan.groups.size());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const Group& group = plan.groups[i];
    if (group.isUncompressed()) continue;
    std::int64_t width = 0;
    for (const Slot& slot : group.slots) width += slotWidth(slot, shape);
    factors[i].widths = latentWidths(group);
    const auto rank = static_cast<std::int64_t>(factors[i].widths.size());
    KVISTA_ASSIGN(factors[i].up, reader.read(fmt::format("{}.up", i), at::kFloat, {width, rank}));
    KVISTA_ASSIGN(factors[i].down, reader.read(fmt::format("{}.down", i), at::kFloat, {rank, width}));
    KVISTA_ASSIGN(factors[i].steps, reader.read(fmt::format("{}.steps", i), at::kFloat, {rank}));
    for (const at::Tensor& tensor : {factors[i].up, factors[i].down, factors[i].steps})
      if (!tensor.isfinite().all().item<bool>())
        return fail(ErrorCode::corruptFile, fmt::format("{}: the factors of group {} hold NaN or infinity.", file.string(), i),
                    "Refine the plan again.");
  }
  return factors;
}

}  // namespace kvista
