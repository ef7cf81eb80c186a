// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/io/checkpoint.h"
#include "core/model/config_reader.h"
#include "core/model/families/registry.h"

namespace kvista {

namespace {

class TensorList {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    if (seen_.insert(name).second) tensors_.push_back({name, std::move(shape)});
  }
  void add(const LinearDescription& linear) {
    add(linear.weight, {linear.out, linear.in});
    if (!linear.bias.empty()) add(linear.bias, {linear.out});
  }
  void add(const NormDescription& norm) { add(norm.weight, {norm.width}); }
  void add(const std::optional<NormDescription>& norm) {
    if (norm) add(*norm);
  }
  std::vector<RequiredTensor> take() { return std::move(tensors_); }

 private:
  std::set<std::string> seen_;
  std::vector<RequiredTensor> tensors_;
};

/// Refuses what no family could read: models that are not decoders.
Result<void> checkKind(const ConfigReader& config) {
  KVISTA_ASSIGN(const bool isEncoderDecoder, config.booleanOr("is_encoder_decoder", false));
  if (isEncoderDecoder) {
    return fail(ErrorCode::unsupportedModel, fmt::format("{} is true; only decoder-only language models are supported.",
                                                         config.describeField("is_encoder_decoder")));
  }
  return {};
}

tl::unexpected<Error> unknownFamily(const ConfigReader& config, const std::string& modelType) {
  const auto supported = fmt::format("supported: {}", fmt::join(familyNames(), ", "));
  if (config.has("auto_map")) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: model_type '{}' brings its own code (auto_map), which is never run; {}.",
                            config.source(), modelType, supported));
  }
  constexpr std::array kEncoders = {"albert",     "bart",    "bert",  "deberta",    "deberta-v2",
                                    "distilbert", "electra", "mbart", "modernbert", "mpnet",
                                    "mt5",        "roberta", "t5",    "whisper",    "xlm-roberta"};
  if (std::ranges::find(kEncoders, modelType) != kEncoders.end()) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: model_type '{}' is not a decoder-only language model; {}.", config.source(), modelType,
                            supported));
  }
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{}: model_type '{}' is not supported; {}.", config.source(), modelType, supported));
}

Result<void> checkTensor(const Checkpoint& checkpoint, const RequiredTensor& required) {
  const auto& tensors = checkpoint.tensors->tensors();
  const auto found = tensors.find(required.name);
  if (found == tensors.end()) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: tensor {} [{}] is missing.", checkpoint.path.string(), required.name,
                            fmt::join(required.shape, ", ")),
                "The download may be incomplete, or config.json may belong to another model.");
  }
  const TensorInfo& tensor = found->second;
  if (tensor.shape != required.shape) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: tensor {} has shape [{}]; the configuration asks for [{}].", tensor.file.string(),
                            tensor.name, fmt::join(tensor.shape, ", "), fmt::join(required.shape, ", ")),
                "Configuration and weights must come from the same checkpoint: download both again.");
  }
  if (!isFloating(tensor.type)) {
    return fail(ErrorCode::corruptFile, fmt::format("{}: tensor {} is made of {}; a weight must be floating point.",
                                                    tensor.file.string(), tensor.name, nameOf(tensor.type)),
                "Use a checkpoint with weights in F32, F16 or BF16.");
  }
  return {};
}

/// Tensors that no part of the description uses: another family's parts, or layers beyond num_hidden_layers.
std::vector<std::string> unusedTensors(const Checkpoint& checkpoint, const std::vector<RequiredTensor>& required) {
  std::set<std::string_view> used;
  for (const auto& tensor : required) used.insert(tensor.name);
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors()) {
    // Old files keep the rotary frequencies; a tied head may be stored all the same.
    const bool harmless = name.ends_with("rotary_emb.inv_freq") || name == "lm_head.weight";
    if (!harmless && !used.contains(name)) unused.push_back(name);
  }
  return unused;
}

}  // namespace

std::vector<RequiredTensor> requiredTensors(const DecoderDescription& description) {
  TensorList list;
  list.add(description.embedding, {description.shape.vocabulary, description.shape.hiddenSize});
  for (const LayerDescription& layer : description.layers) {
    list.add(layer.attentionNorm);
    const AttentionDescription& attention = layer.attention;
    for (const auto* linear : {&attention.query, &attention.key, &attention.value}) list.add(*linear);
    list.add(attention.queryNorm);
    list.add(attention.keyNorm);
    list.add(attention.output);
    list.add(layer.mlpNorm);
    for (const auto* linear : {&layer.mlp.gate, &layer.mlp.up, &layer.mlp.down}) list.add(*linear);
  }
  list.add(description.finalNorm);
  list.add(description.head);
  return list.take();
}

namespace {

Result<DecoderDescription> describeFields(const nlohmann::json& json, const std::string& source) {
  if (!json.is_object()) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is not a JSON object.", source));
  }
  const ConfigReader config(json, source);
  if (!config.has("model_type")) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is missing; supported: {}.", config.describeField("model_type"),
                            fmt::join(familyNames(), ", ")));
  }
  KVISTA_ASSIGN(const std::string modelType, config.stringOr("model_type", ""));
  const Family* family = findFamily(modelType);
  if (family == nullptr) return unknownFamily(config, modelType);
  KVISTA_CHECK(checkKind(config));
  KVISTA_ASSIGN(DecoderDescription description, family->describe(config));
  description.shape.family = modelType;
  return description;
}

/// What to do about any field that a family cannot use; where a sentence has a hint of its own, that one says more.
Error withHint(Error error) {
  if (!error.hint.empty()) return error;
  error.hint = error.code == ErrorCode::unsupportedModel ? "Give a model that is built as the supported ones are."
                                                         : "Get the model's configuration again from where it came from, or correct the field.";
  return error;
}

}  // namespace

Result<DecoderDescription> describeConfig(const nlohmann::json& json, const std::string& source) {
  auto description = describeFields(json, source);
  if (!description) return tl::unexpected(withHint(std::move(description).error()));
  return description;
}

Result<DecoderDescription> describe(const Checkpoint& checkpoint) {
  const std::string source = checkpoint.format == Checkpoint::Format::gguf
                                 ? fmt::format("metadata of {}", checkpoint.path.string())
                                 : fmt::format("config.json of {}", checkpoint.path.string());
  if (checkpoint.tensors == nullptr || checkpoint.tensors->tensors().empty()) {
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no tensors.", checkpoint.path.string()),
                "Download the model's weights again.");
  }
  KVISTA_ASSIGN(DecoderDescription description, describeConfig(checkpoint.config, source));
  const std::vector<RequiredTensor> required = requiredTensors(description);
  for (const RequiredTensor& tensor : required) {
    KVISTA_CHECK(checkTensor(checkpoint, tensor));
    std::int64_t count = 1;  // the product fits: the file really holds a tensor of this shape
    for (const std::int64_t size : tensor.shape) count *= size;
    description.shape.parameters += count;
  }
  if (const auto unused = unusedTensors(checkpoint, required); !unused.empty()) {
    description.warnings.push_back(
        fmt::format("{} of the checkpoint's tensors are not part of a {} model with {} layers and are ignored: {}{}.",
                    unused.size(), description.shape.family, description.shape.layers,
                    fmt::join(unused.begin(), unused.begin() + std::min<std::ptrdiff_t>(3, std::ssize(unused)), ", "),
                    unused.size() > 3 ? ", ..." : ""));
  }
  return description;
}

}  // namespace kvista
