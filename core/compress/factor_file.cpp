// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/factor_file.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

constexpr const char* kDescription = "kvista.factors";

std::vector<std::uint8_t> fallingWidths(const Group& group) {
  std::vector<std::uint8_t> widths;
  std::ranges::copy_if(group.widths, std::back_inserter(widths), [](std::uint8_t width) { return width > 0; });
  std::ranges::stable_sort(widths, std::greater<>());
  return widths;
}

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
    factors[i].widths = fallingWidths(group);
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
