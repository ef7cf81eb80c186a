// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/export_checkpoint.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "core/checkpoint/companion_files.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/export_report.h"
#include "core/checkpoint/export_target.h"
#include "core/checkpoint/gguf/content.h"
#include "core/checkpoint/latent_policy.h"
#include "core/checkpoint/model_card.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"
#include "core/checkpoint/verify_export.h"
#include "core/io/atomic_file.h"

namespace kvista {

namespace {

Result<void> checkPlan(const CompressionPlan& plan, const DecoderDescription& description, const Checkpoint& checkpoint,
                       const ExportForm& form) {
  if (const auto problems = validate(plan, description.shape); !problems.empty())
    return fail(ErrorCode::invalidArgument, fmt::format("The plan does not fit the model: {}", problems.front()));
  return form.check(plan, description, checkpoint);
}

/// The factors must be the plan's, whoever made them.
Result<void> checkFactors(const CompressionPlan& plan, const PlanFactors& factors, const ModelShape& shape) {
  if (factors.size() != plan.groups.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("There are factors for {} groups, the plan has {}.", factors.size(), plan.groups.size()));
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (factors[i].isIdentity()) {
      if (std::ranges::all_of(plan.groups[i].widths, [](std::uint8_t bits) { return bits == 16; })) continue;
      return fail(ErrorCode::invalidArgument, fmt::format("Group {} is compressed but has no factors.", i));
    }
    std::vector<std::uint8_t> kept = plan.groups[i].widths;
    std::erase(kept, std::uint8_t{0});
    std::ranges::sort(kept, std::greater());
    const std::int64_t inputs = factors[i].readsInput() ? shape.hiddenSize : 0;
    const bool fits = std::ranges::all_of(kFactorTensors, [&](const auto& named) {
      const at::Tensor& tensor = factors[i].*named.second;
      const std::vector<std::int64_t> sizes = factorSizes(plan, plan.groups[i], named.second, inputs);
      return sizes.empty() ? !tensor.defined() : tensor.defined() && tensor.sizes() == at::IntArrayRef(sizes);
    });
    if (!fits || factors[i].widths != kept)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The factors of group {} are not those of {} directions of {} numbers.", i,
                              plan.groups[i].rank(), plan.groups[i].widths.size()));
  }
  return {};
}

/// What `place` asks for of tensors that are carried over is said where loaders look for it.
void setWeightType(nlohmann::json& config, DataType type) {
  const char* name = type == DataType::bf16 ? "bfloat16" : type == DataType::f16 ? "float16" : "float32";
  const auto set = [&](nlohmann::json& part) {
    if (part.contains("dtype")) part["dtype"] = name;
    if (!part.contains("dtype") || part.contains("torch_dtype")) part["torch_dtype"] = name;
  };
  set(config);
  if (config.contains("text_config") && config["text_config"].is_object()) set(config["text_config"]);
}

/// Weights with what belongs beside them. Answers the files' names.
Result<std::vector<std::string>> writeModel(const Checkpoint& checkpoint, ExportContent& content,
                                            std::optional<GgufContent> gguf, BegunExport& begun, const Task& task) {
  if (gguf) {
    KVISTA_CHECK(writeGguf(begun.folder() / kGgufName, gguf->metadata, std::move(gguf->tensors), task));
    KVISTA_ASSIGN(std::vector<std::string> names, writeLicence(checkpoint, begun.folder()));
    names.emplace_back(kGgufName);
    return names;
  }
  KVISTA_ASSIGN(std::vector<std::string> names, begun.writeRest(std::move(content.tensors), task));
  KVISTA_ASSIGN(const auto companions, writeCompanionFiles(checkpoint, begun.folder()));
  names.insert(names.end(), companions.begin(), companions.end());
  content.files["config.json"] = content.config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return names;
}

/// Everything but the report. Answers the files' names.
Result<std::vector<std::string>> writeFiles(const Checkpoint& checkpoint, ExportContent& content,
                                            std::optional<GgufContent> gguf, BegunExport& begun, const Task& task) {
  const std::filesystem::path& folder = begun.folder();
  KVISTA_ASSIGN(std::vector<std::string> names, writeModel(checkpoint, content, std::move(gguf), begun, task));
  for (const auto& [name, text] : content.files) {
    KVISTA_CHECK(writeFileAtomically(folder / name, text));
    names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

/// The report without what is known only once the files are there.
Result<nlohmann::json> beginReport(const ExportRequest& request, const std::string& form,
                                   const ExportContent& content) {
  KVISTA_ASSIGN(const std::string source, contentHash(request.checkpoint));
  nlohmann::json report = request.extra.is_object() ? request.extra : nlohmann::json::object();
  report["form"] = form;
  report["plan"] = toJson(request.plan);
  report["fingerprint"] = fingerprint(request.plan);
  report["source"] = {{"family", request.decoder.shape().family}, {"hash", source}};
  report["bytesPerToken"] = {{"before", request.decoder.shape().cacheBytesPerToken()},
                             {"planned", bytesPerToken(request.plan)},
                             {"achieved", content.cacheBytesPerToken}};
  report["notes"] = content.notes;
  return report;
}

void finishReport(nlohmann::json& report, const std::vector<ExportedFile>& files, const LogitComparison& comparison) {
  report["files"] = toJson(files);
  report["verification"] = {{"tokens", comparison.tokens},
                            {"largestLogitDifference", comparison.largestDifference},
                            {"rootMeanSquareDifference", comparison.meanSquareDifference},
                            {"tolerance", comparison.tolerance},
                            {"measure", comparison.measure},
                            {"passed", true}};
}

/// Factors of the plan's sizes without numbers: what a form looks at before it is asked for tensors.
PlanFactors shapesOfFactors(const CompressionPlan& plan, const ModelShape& shape) {
  PlanFactors all;
  const std::int64_t inputs = readsInputs(plan, shape) ? shape.hiddenSize : 0;
  for (const Group& group : plan.groups) {
    GroupFactors& factors = all.emplace_back();
    if (group.isUncompressed()) continue;
    for (const auto& [name, tensor] : kFactorTensors)
      if (const auto sizes = factorSizes(plan, group, tensor, inputs); !sizes.empty())
        factors.*tensor = at::zeros({1}).expand(sizes);
    factors.trellis = plan.trellis;
    factors.widths = group.widths;
    std::erase(factors.widths, std::uint8_t{0});
    std::ranges::sort(factors.widths, std::greater());
  }
  return all;
}

const PolicyRequest* policyOf(const ExportPlace& place) { return place.policy ? &*place.policy : nullptr; }

/// What needs no look at the model.
Result<void> checkContainerOfForm(const ExportPlace& place, const ExportForm& form) {
  if (place.container != Container::gguf) return {};
  if (!form.isStock)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format(
            "The form {} is not written into a GGUF file: its architecture is none of those that KVista writes there.",
            form.name),
        "Plan with the method gqa or mla for a GGUF file whose cache is smaller, export the form dense, or write this "
        "form with --container safetensors.");
  if (place.shardBytes != kShardBytes)
    return fail(ErrorCode::invalidArgument, "A GGUF file is written whole; it has no size to be divided at.",
                "Leave --shard-size out, and divide the file with llama-gguf-split.");
  return {};
}

/// The target's parent: it must be there, have room, and the target must be free or an earlier export to replace.
Result<void> checkPlace(const ForecastRequest& request, ExportForecast& forecast) {
  const ExportPlace& place = request.place;
  KVISTA_CHECK(checkTarget(place.target, request.checkpoint, place.overwrite));
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::absolute(place.target).parent_path();
  if (!std::filesystem::is_directory(parent, error))
    return fail(ErrorCode::io, fmt::format("The folder {} does not exist.", parent.string()),
                "Make it, or give another target.");
  if (!place.overwrite && std::filesystem::exists(place.target, error))
    return fail(ErrorCode::invalidArgument, fmt::format("{} exists already.", place.target.string()),
                "Give another name, or replace it.");
  forecast.freeBytes = std::filesystem::space(parent, error).available;
  return checkFreeSpace(parent, forecast.bytesAfter, "the export");
}

}  // namespace

Result<void> checkContainer(const ExportPlace& place, const Checkpoint& checkpoint) {
  if (place.container != Container::gguf) return {};
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(place.form));
  KVISTA_CHECK(checkContainerOfForm(place, *form));
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, place.dtype.value_or(DataType::f32)));
  KVISTA_CHECK(contentOfGguf(stockConfig(checkpoint), std::move(tensors), checkpoint));
  return {};
}

Result<void> checkRecordedPolicy(const ExportPlace& place, const CompressionPlan& plan,
                                 const DecoderDescription& description) {
  if (!place.policy) return {};
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(place.form));
  if (form->recordsPolicies) return checkLatentPolicy(*place.policy, plan, description);
  return fail(ErrorCode::invalidArgument, fmt::format("The form {} records no policy.", form->name),
              "Leave the policy out, or export the form latent.");
}

Result<ExportForecast> forecastExport(const ForecastRequest& request) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(request.place.form));
  ExportForecast forecast;
  for (const std::filesystem::path& file : request.checkpoint.files) {
    std::error_code error;
    forecast.bytesBefore += std::filesystem::file_size(file, error);
    if (error) return fail(ErrorCode::io, fmt::format("{} cannot be looked at: {}.", file.string(), error.message()));
  }
  const auto listProblem = [&](const Result<void>& checked) {
    if (!checked)
      forecast.problems.push_back(checked.error().message +
                                  (checked.error().hint.empty() ? "" : " " + checked.error().hint));
    return checked.has_value();
  };
  if (listProblem(checkWeightType(request.place.dtype)) && listProblem(checkWeightType(request.place.weightType)) &&
      listProblem(checkContainerOfForm(request.place, *form)) &&
      listProblem(checkPlan(request.plan, request.description, request.checkpoint, *form)) &&
      listProblem(checkRecordedPolicy(request.place, request.plan, request.description))) {
    const PlanFactors factors = shapesOfFactors(request.plan, request.description.shape);
    KVISTA_ASSIGN(const ExportContent content,
                  form->make({request.checkpoint, request.description, request.plan, factors, request.place.dtype,
                              at::kCPU, policyOf(request.place)}));
    KVISTA_ASSIGN(std::vector<TensorToWrite> tensors,
                  form->carried(request.checkpoint, request.description, request.place.dtype.value_or(DataType::f32)));
    tensors.insert(tensors.end(), content.tensors.begin(), content.tensors.end());
    if (request.place.weightType) tensors = withType(std::move(tensors), *request.place.weightType);
    forecast.notes = content.notes;
    if (request.place.container == Container::gguf) {
      auto gguf = contentOfGguf(content.config, std::move(tensors), request.checkpoint);
      if (!listProblem(gguf ? Result<void>() : tl::unexpected(gguf.error()))) gguf.emplace();
      tensors = std::move(gguf->tensors);
      forecast.notes.insert(forecast.notes.end(), gguf->notes.begin(), gguf->notes.end());
    }
    for (const TensorToWrite& tensor : tensors)
      ++(tensor.isCarriedOver ? forecast.tensorsCarried : forecast.tensorsChanged);
    KVISTA_ASSIGN(forecast.bytesAfter, bytesOf(tensors));
    forecast.bytesPerToken = content.cacheBytesPerToken;
  }
  listProblem(checkPlace(request, forecast));
  return forecast;
}

Result<ExportReport> exportCheckpoint(const ExportRequest& request, const ExportPlace& place, const Task& task) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(place.form));
  KVISTA_CHECK(checkPlan(request.plan, request.decoder.description(), request.checkpoint, *form));
  KVISTA_CHECK(checkContainerOfForm(place, *form));
  KVISTA_ASSIGN(const std::unique_ptr<BegunExport> begun,
                BegunExport::begin(request.checkpoint, request.decoder.description(), place));
  return finishExport(*begun, request, task);
}

Result<ExportReport> finishExport(BegunExport& begun, const ExportRequest& request, const Task& task) {
  const ExportForm& form = begun.form();
  const ExportPlace& place = begun.place();
  KVISTA_CHECK(checkPlan(request.plan, request.decoder.description(), request.checkpoint, form));
  KVISTA_CHECK(checkRecordedPolicy(place, request.plan, request.decoder.description()));
  KVISTA_CHECK(checkFactors(request.plan, request.factors, request.decoder.shape()));

  KVISTA_ASSIGN(ExportContent content,
                form.make({request.checkpoint, request.decoder.description(), request.plan, request.factors,
                           place.dtype, request.decoder.options().device, policyOf(place)}));
  if (place.weightType) setWeightType(content.config, *place.weightType);
  if (place.policy) {
    KVISTA_ASSIGN(std::vector<TensorToWrite> tensors,
                  latentPolicyTensors(*place.policy, request.decoder, request.checkpoint));
    std::ranges::move(tensors, std::back_inserter(content.tensors));
  }
  std::optional<GgufContent> gguf;
  if (place.container == Container::gguf) {
    KVISTA_ASSIGN(gguf,
                  contentOfGguf(content.config, begun.allTensors(std::move(content.tensors)), request.checkpoint));
    content.notes.insert(content.notes.end(), gguf->notes.begin(), gguf->notes.end());
  }
  KVISTA_ASSIGN(const at::Tensor expected, logitsOnFixedTokens(request.decoder, &content.plan, content.factors, task));
  KVISTA_ASSIGN(nlohmann::json report, beginReport(request, place.form, content));
  if (gguf) report["container"] = "gguf";
  if (place.policy) report["policy"] = textWithoutFiles(*place.policy);
  KVISTA_ASSIGN(content.files["README.md"], modelCard(request.checkpoint, form, request.plan, report));
  KVISTA_ASSIGN(std::vector<std::string> names, writeFiles(request.checkpoint, content, std::move(gguf), begun, task));
  KVISTA_ASSIGN(const std::vector<ExportedFile> files, hashFiles(begun.folder(), names, task));
  const auto is16Bit = [](const std::optional<DataType>& type) { return type && *type != DataType::f32; };
  KVISTA_ASSIGN(const LogitComparison comparison,
                compareWritten(begun.folder(), content, expected, is16Bit(place.dtype) || is16Bit(place.weightType),
                               request.decoder.options(), task));
  finishReport(report, files, comparison);
  KVISTA_CHECK(writeFileAtomically(begun.folder() / kReportName, report.dump(2) + "\n"));
  KVISTA_CHECK(begun.commit());
  names.emplace_back(kReportName);
  return ExportReport{.form = place.form,
                      .bytesPerToken = content.cacheBytesPerToken,
                      .bytesPerTokenBefore = request.decoder.shape().cacheBytesPerToken(),
                      .files = std::move(names),
                      .notes = std::move(content.notes),
                      .verified = true,
                      .largestLogitDifference = comparison.largestDifference};
}

}  // namespace kvista
