// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/open_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/checkpoint/decoder_json.h"
#include "core/checkpoint/export_report.h"
#include "core/checkpoint/latent_layout.h"
#include "core/checkpoint/latent_store.h"
#include "core/checkpoint/palu_model.h"
#include "core/checkpoint/serving_model.h"
#include "core/checkpoint/tensor_source.h"
#include "core/io/json_file.h"
#include "core/model/torch_guard.h"
#include "core/policy/named_policies.h"

namespace kvista {

namespace {

/// Reads what `latent` wrote, checking every shape against the plan.
class LatentReader {
 public:
  LatentReader(const Checkpoint& checkpoint, const CompressionPlan& plan) : checkpoint_(checkpoint), plan_(plan) {}

  Result<OpenedModel> read() {
    KVISTA_ASSIGN(const nlohmann::json base, readBaseConfig());
    KVISTA_ASSIGN(
        const DecoderDescription description,
        describeConfig(base, fmt::format("kvista.base_config in config.json of {}", checkpoint_.path.string())));
    const ModelShape& shape = description.shape;
    if (const auto problems = validate(plan_, shape); !problems.empty()) {
      const std::string_view problem =
          std::string_view(problems.front()).substr(0, problems.front().find_last_not_of('.') + 1);
      return corrupt(fmt::format("the plan in {} does not fit the model: {}", kReportName, problem));
    }
    for (const Group& group : plan_.groups)
      if (std::ranges::any_of(group.slots, [&](const Slot& slot) { return slot.layer != group.slots.front().layer; }))
        return corrupt(fmt::format("the plan in {} shares a latent between layers", kReportName));

    std::vector<bool> identity(plan_.groups.size(), true);
    const bool keepsProjections = allGroupsReadHeads();
    for (const LatentGroup& group :
         latentLayout(plan_, std::vector<bool>(plan_.groups.size()), shape, keepsProjections).groups)
      identity[group.index] = !tensors().contains(group.name("up.weight"));
    const LatentLayout layout = latentLayout(plan_, identity, shape, keepsProjections);
    if (const std::string unlike = whereUnlike(checkpoint_.config["kvista"], describePlan(plan_, layout, shape));
        !unlike.empty())
      return corrupt(fmt::format("config.json and {} do not agree: {}", kReportName, unlike));

    OpenedModel opened{.checkpoint = checkpoint_, .plan = plan_, .factors = PlanFactors(plan_.groups.size())};
    for (const LatentGroup& group : layout.groups) {
      KVISTA_ASSIGN(opened.factors[group.index], readFactors(group, shape));
    }
    opened.checkpoint.config = base;
    opened.checkpoint.tensors = std::make_shared<LatentStore>(checkpoint_.tensors, description, layout);
    return opened;
  }

 private:
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const {
    return checkpoint_.tensors->tensors();
  }

  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("{}: {}.", checkpoint_.path.string(), what),
                "Export the plan again, or get the whole folder as it was exported.");
  }

  [[nodiscard]] Result<nlohmann::json> readBaseConfig() const {
    const nlohmann::json& config = checkpoint_.config;
    if (!config.contains("kvista") || !config["kvista"].is_object()) return corrupt("config.json has no kvista object");
    const nlohmann::json& own = config["kvista"];
    if (!own.contains("format") || !own["format"].is_number_integer() || own["format"] < 1 ||
        own["format"] > kLatentFormat)
      return corrupt(fmt::format("kvista.format in config.json is not a number from 1 to {}, which this version reads",
                                 kLatentFormat));
    if (!own.contains("base_config")) return corrupt("config.json has no kvista.base_config");
    return own["base_config"];
  }

  /// Whether config.json says so: then all projections are there, whatever of them the plan alone would need.
  [[nodiscard]] bool allGroupsReadHeads() const {
    const nlohmann::json none = nlohmann::json::array();
    const auto listIn = [&](const nlohmann::json& object, const char* name) -> const nlohmann::json& {
      return object.is_object() && object.contains(name) && object[name].is_array() ? object[name] : none;
    };
    const auto readsHeads = [](const nlohmann::json& group) {
      return group.is_object() && group.contains("input") && group["input"] == "heads";
    };
    return std::ranges::all_of(listIn(checkpoint_.config["kvista"], "layers"), [&](const nlohmann::json& layer) {
      return std::ranges::all_of(listIn(layer, "groups"), readsHeads);
    });
  }

  [[nodiscard]] Result<at::Tensor> read(const std::string& name, const std::vector<std::int64_t>& expected) const {
    const auto found = tensors().find(name);
    if (found == tensors().end()) return corrupt(fmt::format("tensor {} is missing", name));
    if (found->second.shape != expected)
      return corrupt(fmt::format("tensor {} has shape [{}]; the plan needs [{}]", name,
                                 fmt::join(found->second.shape, ", "), fmt::join(expected, ", ")));
    KVISTA_ASSIGN(at::Tensor value, readWeight(*checkpoint_.tensors, name));
    if (!value.isfinite().all().item<bool>()) return corrupt(fmt::format("tensor {} holds NaN or infinity", name));
    return value.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);  // factors outlive the file
  }

  [[nodiscard]] Result<GroupFactors> readFactors(const LatentGroup& group, const ModelShape& shape) const {
    const auto rank = static_cast<std::int64_t>(group.widths.size());
    const auto width = static_cast<std::int64_t>(group.group.widths.size());
    if (group.fromHidden) KVISTA_CHECK(read(group.name("down.weight"), {rank, shape.hiddenSize}));
    if (group.isIdentity) {
      if (rank != width || group.codedDirections() > 0)
        return corrupt(fmt::format("tensor {} is missing", group.name("up.weight")));
      return GroupFactors{};
    }
    GroupFactors factors;
    factors.widths = group.widths;
    factors.trellis = plan_.trellis;
    KVISTA_ASSIGN(factors.up, read(group.name("up.weight"), {width, rank}));
    if (group.fromHidden) {
      factors.down = at::cat({at::eye(rank), at::zeros({rank, width - rank})}, 1);
    } else {
      KVISTA_ASSIGN(factors.down, read(group.name("down.weight"), {rank, width}));
    }
    if (group.isCentred) {
      KVISTA_ASSIGN(factors.shift, read(group.name("down.bias"), {rank}));
      KVISTA_ASSIGN(factors.offset, read(group.name("up.bias"), {width}));
    }
    if (group.predictedFrom) {
      KVISTA_ASSIGN(factors.prediction, read(group.name("prediction.weight"), {width, width}));
    }
    factors.steps = at::zeros({rank});
    if (const std::int64_t coded = group.codedDirections(); coded > 0) {
      KVISTA_ASSIGN(const at::Tensor steps, read(group.name("steps"), {coded}));
      if (!(steps > 0).all().item<bool>())
        return corrupt(fmt::format("tensor {} holds a step that is not above zero", group.name("steps")));
      factors.steps.narrow(0, rank - coded, coded).copy_(steps);
    }
    return factors;
  }

  const Checkpoint& checkpoint_;
  const CompressionPlan& plan_;
};

}  // namespace

std::string recordedPolicy(const Checkpoint& checkpoint) {
  const auto own = checkpoint.config.find("kvista");
  if (!isLatent(checkpoint) || own == checkpoint.config.end() || !own->is_object() || !own->contains("policy") ||
      !own->at("policy").is_object())
    return {};
  const auto folder = std::filesystem::is_directory(checkpoint.path) ? checkpoint.path : checkpoint.path.parent_path();
  const auto report = readReport(folder);
  if (!report || !report->contains("policy") || !report->at("policy").is_string()) return {};
  const std::string line = report->at("policy").get<std::string>();
  auto request = policyFromText(line);
  if (!request) return line;  // whoever applies it says what is wrong
  const NamedPolicies named = *policiesNamed(request->policy);
  if (named.chooser != nullptr)
    for (const PolicyOption& option : named.chooser->options)
      if (option.isFile) request->options.emplace(optionOf(named, *named.chooser, option.name), folder.string());
  return toText(*request);
}

bool isLatent(const Checkpoint& checkpoint) {
  const auto type = checkpoint.config.find("model_type");
  return type != checkpoint.config.end() && *type == "kvista";
}

Result<OpenedModel> openLatent(const Checkpoint& checkpoint, const CompressionPlan& plan) {
  return guardTorch(fmt::format("Reading {}", checkpoint.path.string()),
                    [&] { return LatentReader(checkpoint, plan).read(); });
}

Result<OpenedModel> openPlain(Checkpoint checkpoint) {
  if (isServed(checkpoint)) return openServed(checkpoint);
  if (isPalu(checkpoint)) {
    KVISTA_ASSIGN(checkpoint, asOriginal(checkpoint));
  }
  return OpenedModel{.checkpoint = std::move(checkpoint), .plan = std::nullopt, .factors = {}};
}

Result<OpenedModel> openModel(const std::filesystem::path& path) {
  KVISTA_ASSIGN(Checkpoint checkpoint, openCheckpoint(path));
  if (!isLatent(checkpoint)) return openPlain(std::move(checkpoint));
  const auto folder = std::filesystem::is_directory(checkpoint.path) ? checkpoint.path : checkpoint.path.parent_path();
  KVISTA_ASSIGN(const nlohmann::json report, readReport(folder));
  KVISTA_ASSIGN(const CompressionPlan plan, planOfReport(report, folder));
  KVISTA_ASSIGN(OpenedModel opened, openLatent(checkpoint, plan));
  opened.policy = recordedPolicy(checkpoint);
  return opened;
}

}  // namespace kvista
