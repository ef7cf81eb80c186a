// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/exchange.h"

#include <ATen/ops/empty.h>

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace kvista {
namespace {

using nlohmann::json;

json toJson(const Group& group) {
  json slots = json::array();
  for (const Slot& slot : group.slots) slots.push_back({slot.layer, static_cast<int>(slot.side), slot.head});
  return {slots, group.widths, group.locked};
}

Group groupFromJson(const json& value) {
  Group group;
  for (const json& slot : value.at(0))
    group.slots.push_back({slot.at(0).get<int>(), static_cast<Side>(slot.at(1).get<int>()), slot.at(2).get<int>()});
  value.at(1).get_to(group.widths);
  value.at(2).get_to(group.locked);
  return group;
}

json toJson(const BudgetUnit& unit) {
  return {unit.spectrum.eigenvalues,
          unit.spectrum.widths,
          unit.spectrum.distortion,
          unit.minimumRank,
          unit.maximumRank,
          unit.locked,
          unit.widths,
          unit.fisherScore,
          unit.side,
          unit.layer};
}

BudgetUnit unitFromJson(const json& value) {
  BudgetUnit unit;
  value.at(0).get_to(unit.spectrum.eigenvalues);
  value.at(1).get_to(unit.spectrum.widths);
  value.at(2).get_to(unit.spectrum.distortion);
  value.at(3).get_to(unit.minimumRank);
  value.at(4).get_to(unit.maximumRank);
  value.at(5).get_to(unit.locked);
  value.at(6).get_to(unit.widths);
  value.at(7).get_to(unit.fisherScore);
  value.at(8).get_to(unit.side);
  value.at(9).get_to(unit.layer);
  return unit;
}

/// The tensors of a layer's factors, made where another process has them.
std::vector<at::Tensor> tensorsOf(const CompressionPlan& plan, const ModelShape& shape, int layer,
                                  PlanFactors& factors) {
  std::vector<at::Tensor> tensors;
  const std::int64_t inputs = readsInputs(plan, shape) ? shape.hiddenSize : 0;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    if (group.slots.front().layer != layer || group.isUncompressed()) continue;
    const bool isElsewhere = factors[i].isIdentity();
    if (isElsewhere) factors[i].widths = latentWidths(group);
    for (const auto& [name, tensor] : kFactorTensors) {
      const std::vector<std::int64_t> sizes = factorSizes(plan, group, tensor, inputs);
      if (sizes.empty()) continue;
      if (isElsewhere) factors[i].*tensor = at::empty(sizes, at::kFloat);
      tensors.push_back(factors[i].*tensor);
    }
  }
  return tensors;
}

}  // namespace

Result<void> exchangeGroups(LaidOut& own, const ProcessGroup& processes, const Task& task) {
  if (processes.isAlone()) return {};
  json groups = json::array();
  json units = json::array();
  for (const Group& group : own.groups) groups.push_back(toJson(group));
  for (const BudgetUnit& unit : own.units) units.push_back(toJson(unit));
  std::string bytes;
  json::to_cbor(json{groups, units}, bytes);
  KVISTA_ASSIGN(const std::vector<std::string> texts, processes.gatherTexts(bytes, task));
  own = {};
  try {
    for (const std::string& text : texts) {
      const json part = json::from_cbor(text);
      for (const json& group : part.at(0)) own.groups.push_back(groupFromJson(group));
      for (const json& unit : part.at(1)) own.units.push_back(unitFromJson(unit));
    }
  } catch (const json::exception& error) {
    return fail(ErrorCode::internal, "The groups that another process has laid out cannot be read.",
                "Start all processes with the same version of the program.", error.what());
  }
  return {};
}

Result<void> exchangeFactors(const CompressionPlan& plan, const ModelShape& shape, PlanFactors& factors,
                             const ProcessGroup& processes, const Task& task) {
  if (processes.isAlone()) return {};
  for (int rank = 0; rank < processes.size(); ++rank) {
    const Share share = processes.shareOf(rank, shape.layers);
    for (int layer = static_cast<int>(share.begin); layer < share.end(); ++layer)
      for (const at::Tensor& tensor : tensorsOf(plan, shape, layer, factors))
        KVISTA_CHECK(processes.broadcast(tensor, rank, task));
  }
  return {};
}

}  // namespace kvista
