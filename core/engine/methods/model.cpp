// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// hello, list, open: what there is. Nothing here reads a weight.
#include <fmt/format.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/checkpoint/export_form.h"
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/compress/method.h"
#include "core/engine/chat_template.h"
#include "core/engine/data_folder.h"
#include "core/engine/method.h"
#include "core/engine/workspace.h"
#include "core/model/device.h"
#include "core/plan/allocate.h"
#include "core/plan/cost.h"
#include "core/policy/policy.h"
#include "core/protocol/fields.h"
#include "core/protocol/frame.h"

namespace kvista {
namespace {

/// What most of the numbers are stored as.
std::string storageTypeOf(const Checkpoint& checkpoint) {
  std::map<DataType, std::uint64_t> counts;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors()) counts[tensor.type] += tensor.count();
  const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  return most == counts.end() ? std::string() : std::string(nameOf(most->first));
}

std::string inWords(const RopeDescription& rope) {
  const std::string base = fmt::format("{} of each head's numbers{}, base {:.6g}", rope.rotaryDim,
                                       rope.isInterleaved ? " in neighbouring pairs" : "", rope.theta);
  switch (rope.type) {
    case RopeType::standard:
      return base;
    case RopeType::linear:
      return fmt::format("{}, positions divided by {:.4g}", base, rope.factor);
    case RopeType::dynamic:
      return fmt::format("{}, dynamic (NTK) by {:.4g} beyond {} positions", base, rope.factor, rope.trainedLength);
    case RopeType::llama3:
      return fmt::format("{}, llama3 by {:.4g} from {} positions", base, rope.factor, rope.trainedLength);
    case RopeType::yarn:
      return fmt::format("{}, YaRN by {:.4g} from {} positions", base, rope.factor, rope.trainedLength);
    case RopeType::longrope:
      return fmt::format("{}, LongRoPE beyond {} positions", base, rope.trainedLength);
    case RopeType::factors:
      return fmt::format("{}, frequencies divided by the file's factors", base);
  }
  return base;
}

/// How the model knows where a token stands.
std::string positionsInWords(const DecoderDescription& description) {
  std::vector<std::string> kinds;
  for (const RopeDescription& rope : description.ropes) kinds.push_back(inWords(rope));
  const auto has = [&](auto&& kind) {
    return std::ranges::any_of(description.layers,
                               [&](const LayerDescription& layer) { return kind(layer.attention); });
  };
  if (has([](const AttentionDescription& attention) { return attention.linearBiases.has_value(); }))
    kinds.emplace_back("none, but linear biases (ALiBi)");
  if (!description.embedding.positions.empty())
    kinds.push_back(fmt::format("none, but {} learned positions", description.maximumPositions));
  if (!description.ropes.empty() && has([](const AttentionDescription& attention) { return !attention.rope; }))
    kinds.emplace_back("none in some layers");
  return fmt::format("{}", fmt::join(kinds, "; "));
}

Choice choice(std::string_view name, std::string_view summary, std::string_view source = {}) {
  return {std::string(name), std::string(summary), {}, {}, std::string(source)};
}

}  // namespace

Result<nlohmann::json> hello(Call& call) {
  const EngineSettings& settings = call.workspace.settings();
  // A GPU is opened at first need: loading its libraries takes longer than all of this.
  const std::string device = settings.device == "cpu" ? describeDevice(c10::Device(c10::kCPU)) : settings.device;
  const std::int64_t memory = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host.fill(0);
  return toJson(HelloRecord{"kvista", settings.version, kProtocolVersion, device, memory, TORCH_VERSION, host.data(),
                            dataFolder().string()});
}

Result<nlohmann::json> listChoices(Call&) {
  Catalogue catalogue;
  for (const Method& method : methods()) {
    const auto apart = [&](std::string_view reason) {
      return std::string(reason.empty() && (method.chain > 1 || method.tokenNumbers) ? "codes layers behind one another"
                                                                                     : reason);
    };
    catalogue.methods.push_back({choice(method.name, method.summary, method.source), std::string(method.grouping),
                                 std::string(method.allocator), method.metric, method.keyPosition, method.storage,
                                 method.widths, method.rankStep, method.weightsOnly, method.sharesLayers, method.chain,
                                 method.trellis, method.tokenNumbers, apart(whyNotCompensated(method)),
                                 apart(whyNotCentred(method)), std::string(whyNotUnwhitened(method)),
                                 std::string(whyNotUncalibrated(method)), apart(whyNotShared(method))});
  }
  for (const Measure& measure : measures())
    catalogue.measures.push_back({std::string(measure.name), std::string(measure.summary), std::string(measure.formula),
                                  std::string(measure.unit), std::string(measure.source)});
  for (const auto& [name, summary] : layoutNames()) catalogue.groupings.push_back(choice(name, summary));
  for (const Allocator& allocator : allocators())
    catalogue.allocators.push_back(choice(allocator.name, allocator.summary));
  for (const ExportForm& form : exportForms()) catalogue.forms.push_back(choice(form.name, form.summary));
  for (const Policy& policy : policies()) {
    Choice each = choice(policy.name, policy.summary, policy.source);
    each.formula = policy.makeScorer != nullptr ? fmt::format("{} share=0.5", policy.name) : std::string(policy.name);
    if (policy.needsPlan) each.planMethod = policy.name;  // The other part of its paper.
    catalogue.policies.push_back(std::move(each));
  }
  catalogue.devices = deviceProfiles();
  return toJson(catalogue);
}

Result<nlohmann::json> open(Call& call) {
  Fields fields(call.params, "the parameters of open");
  const std::string path = fields.text("path");
  if (fields.error()) return tl::unexpected(*fields.error());
  KVISTA_ASSIGN(const auto model, call.workspace.model(path));
  const Checkpoint& checkpoint = model->checkpoint;
  ModelRecord record;
  record.path = checkpoint.path.string();
  record.hash = model->hash;
  record.shape = model->description.shape;
  record.storageType = storageTypeOf(checkpoint);
  for (const auto& file : checkpoint.files) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (!error) record.fileBytes += static_cast<std::int64_t>(bytes);
  }
  record.maximumPositions = model->description.maximumPositions;
  record.rope = positionsInWords(model->description);
  // Texts are read with it soon, and who hears only then that it is damaged has chosen them for nothing.
  const auto tokenizer = call.workspace.tokenizer(*model);
  record.hasTokenizer = tokenizer.has_value();
  const ChatTemplate chat = chatTemplateOf(checkpoint);
  record.chatTemplate = chat.name;
  record.chatTemplateProblem = chat.problem;
  record.problems = checkpoint.warnings;
  record.problems.insert(record.problems.end(), model->description.warnings.begin(), model->description.warnings.end());
  if (!tokenizer) record.problems.push_back(fmt::format("{} {}", tokenizer.error().message, tokenizer.error().hint));
  if (model->plan)
    record.problems.push_back("This is an export of KVista: it computes with its plan and takes no other.");
  return toJson(record);
}

}  // namespace kvista
