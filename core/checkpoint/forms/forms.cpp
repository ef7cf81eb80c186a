// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/forms/forms.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/checkpoint/tensor_source.h"

// One line a form: X(name) is the function `ExportForm nameForm()` of its file in this folder.
#define KVISTA_FORMS(X) \
  X(latent)             \
  X(dense)              \
  X(palu)               \
  X(gqa)                \
  X(serve)              \
  X(vOnly)              \
  X(mla)

namespace kvista {

#define KVISTA_DECLARE(name) ExportForm name##Form();
KVISTA_FORMS(KVISTA_DECLARE)

const std::vector<ExportForm>& exportForms() {
#define KVISTA_CALL(name) name##Form(),
  static const std::vector<ExportForm> all = {KVISTA_FORMS(KVISTA_CALL)};
  return all;
}

Result<const ExportForm*> findExportForm(std::string_view name) {
  const auto found = std::ranges::find(exportForms(), name, &ExportForm::name);
  if (found != exportForms().end()) return &*found;
  std::vector<std::string_view> names;
  for (const ExportForm& form : exportForms()) names.push_back(form.name);
  return fail(ErrorCode::invalidArgument, fmt::format("There is no export form \"{}\".", name),
              fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
}

TensorToWrite carriedRole(const std::shared_ptr<const TensorStore>& store, const TensorRole& role, DataType dtype) {
  // Few experts differ by more in what corrects their choice than rounding changes.
  return carriedOver(store, store->tensors().at(role.source), role.name,
                     role.name.ends_with(".correction") ? DataType::f32 : dtype);
}

bool isDraft(const CompressionPlan& plan) {
  return std::ranges::all_of(plan.groups, [](const Group& group) { return group.rank() == 0; });
}

Result<void> checkPerLayerFactors(const CompressionPlan& plan, std::string_view form) {
  if (plan.storage == Storage::plainQuantised) {
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("The form {} holds latents; a plan of plain quantisation has none.", form),
        "Plain quantisation is there to compare with: use `kvista evaluate`, or export a plan of another method.");
  }
  if (plan.centred && form != "latent")
    return fail(ErrorCode::invalidArgument,
                fmt::format("The plan is centred; the form {} has no place for the means that are put back.", form),
                "Export the form latent, or make a plan without --centred.");
  const bool isShared = !plan.sharedFrom.empty();
  if (isShared && form != "latent")
    return fail(ErrorCode::invalidArgument,
                fmt::format("Layers of the plan read another layer's cache; the form {} gives each its own.", form),
                "Export the form latent, or make a plan whose layers have their own caches.");
  if (isShared && plan.keyPosition == KeyPosition::afterRope)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Layers of the plan read another layer's keys after RoPE; the form {} shares those before it.",
                    form),
        "Measure the plan with `kvista evaluate`, or make one that compresses keys before RoPE.");
  if (predictsLayers(plan) && form != "latent")
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("Layers of the plan are coded behind others, which predict them; the form {} keeps layers apart.",
                    form),
        "Export the form latent, or make a plan with --chain 1 and --no-token-numbers.");
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const auto& slots = plan.groups[i].slots;
    const auto other = std::ranges::find_if(slots, [&](const Slot& slot) { return slot.layer != slots.front().layer; });
    if (other != slots.end()) {
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Group {} shares one latent between layers {} and {}; the form {} keeps layers apart.", i,
                              slots.front().layer, other->layer, form),
                  "Use a plan whose groups stay within a layer.");
    }
  }
  return {};
}

}  // namespace kvista
