// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <unordered_set>
#include <utility>

#include "core/io/checkpoint.h"
#include "core/model/config_reader.h"
#include "core/model/families/registry.h"
#include "core/model/stored_head.h"

namespace kvista {

namespace {

constexpr const char* kTextPart = "text_config";

/// Calls visit(name, shape) for every tensor that a description names, in the order of use. The names of a description
/// that is not const can be changed.
template <class Visit>
class TensorVisitor {
 public:
  explicit TensorVisitor(Visit visit) : visit_(std::move(visit)) {}

  template <class Description>
  void operator()(Description& description) {
    queryHeads_ = description.shape.queryHeads;
    auto& embedding = description.embedding;
    visit_(embedding.weight, {description.shape.vocabulary, embedding.width});
    linear(embedding.projection);
    if (!embedding.positions.empty())
      visit_(embedding.positions,
             {description.maximumPositions + embedding.positionOffset, description.shape.hiddenSize});
    norm(embedding.norm);
    for (auto& layer : description.layers) {
      norm(layer.attentionNorm);
      attention(layer.attention);
      norm(layer.attentionOutputNorm);
      norm(layer.feedForwardNorm);
      feedForward(layer.feedForward);
      norm(layer.feedForwardOutputNorm);
    }
    norm(description.head.norm);
    linear(description.head.projection);
    linear(description.head.linear);
  }

 private:
  template <class Attention>
  void attention(Attention& attention) {
    if (attention.latent) {
      linear(attention.latent->queryReduction);
      norm(attention.latent->queryReductionNorm);
    }
    linear(attention.query);
    linear(attention.key);
    linear(attention.value);
    norm(attention.queryNorm);
    norm(attention.keyNorm);
    if (!attention.sinks.empty()) visit_(attention.sinks, {queryHeads_});
    if (attention.latent) {
      norm(attention.latent->latentNorm);
      linear(attention.latent->expansion);
    }
    linear(attention.output);
  }
  template <class FeedForward>
  void feedForward(FeedForward& feedForward) {
    if (feedForward.router) {
      linear(feedForward.router->linear);
      if (!feedForward.router->correction.empty())
        visit_(feedForward.router->correction, {feedForward.router->linear.out});
    }
    for (auto& expert : feedForward.experts) mlp(expert);
    if (feedForward.shared) mlp(*feedForward.shared);
    linear(feedForward.sharedGate);
  }
  template <class Mlp>
  void mlp(Mlp& mlp) {
    linear(mlp.gate);
    linear(mlp.up);
    linear(mlp.down);
  }
  template <class Linear>
  void linear(Linear& linear) {
    if constexpr (requires { linear.weight; }) {
      visit_(linear.weight, {linear.out, linear.in});
      if (!linear.bias.empty()) visit_(linear.bias, {linear.out});
    } else if (linear) {
      this->linear(*linear);
    }
  }
  template <class Norm>
  void norm(Norm& norm) {
    if constexpr (requires { norm.weight; }) {
      std::vector<std::int64_t> shape;
      if (norm.heads > 0) shape.push_back(norm.heads);
      shape.push_back(norm.width);
      if (!norm.weight.empty()) visit_(norm.weight, shape);
      if (!norm.bias.empty()) visit_(norm.bias, shape);
    } else if (norm) {
      this->norm(*norm);
    }
  }

  Visit visit_;
  std::int64_t queryHeads_ = 0;
};

/// Tensors, each once, in the order in which they were added first. The names that are given live longer than the list.
class TensorList {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    if (seen_.insert(name).second) tensors_.push_back({name, std::move(shape)});
  }
  std::vector<RequiredTensor> take() { return std::move(tensors_); }

 private:
  std::unordered_set<std::string_view> seen_;
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

/// Why a type of model that is no family of ours cannot be used.
std::string whyUnknown(const ConfigReader& config, const std::string& modelType) {
  constexpr std::array kEncoders = {"albert",     "bart",    "bert",  "deberta",    "deberta-v2",
                                    "distilbert", "electra", "mbart", "modernbert", "mpnet",
                                    "mt5",        "roberta", "t5",    "whisper",    "xlm-roberta"};
  constexpr std::array kHybrids = {"bamba",
                                   "falcon_h1",
                                   "falcon_mamba",
                                   "granitemoehybrid",
                                   "jamba",
                                   "kimi_linear",
                                   "lfm2",
                                   "lfm2_moe",
                                   "mamba",
                                   "mamba2",
                                   "minimax",
                                   "nemotron_h",
                                   "olmo_hybrid",
                                   "qwen3_5_moe_text",
                                   "qwen3_5_text",
                                   "qwen3_next",
                                   "recurrent_gemma",
                                   "rwkv",
                                   "xlstm",
                                   "zamba",
                                   "zamba2"};
  const auto isOneOf = [&](const auto& names) { return std::ranges::find(names, modelType) != names.end(); };
  if (isOneOf(kHybrids))
    return "keeps a state in place of keys and values, in some layers or in all, which is not supported";
  if (isOneOf(kEncoders)) return "is not a decoder-only language model";
  if (config.has("auto_map")) return "brings its own code (auto_map), which is never run";
  return "is not supported";
}

tl::unexpected<Error> unknownFamily(const ConfigReader& config, const std::string& modelType) {
  if (config.has("kvista"))
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: this is an export of KVista's own, of model_type '{}'; statistics and plans are those "
                            "of the original model.",
                            config.source(), modelType),
                "Give the original model.");
  return fail(ErrorCode::unsupportedModel,
              fmt::format("{}: model_type '{}' {}.", config.source(), modelType, whyUnknown(config, modelType)),
              fmt::format("Give a model of one of these types: {}.", fmt::join(familyNames(), ", ")));
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
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: tensor {} is made of {}; a weight must be floating point.", tensor.file.string(),
                            tensor.name, nameOf(tensor.type)),
                "Use a checkpoint with weights in F32, F16 or BF16.");
  }
  return {};
}

/// Buffers that old files keep beside weights, masks and rotary frequencies, and a tied head that is stored all the
/// same.
bool isHarmless(std::string_view name) {
  constexpr std::array<std::string_view, 5> kBuffers = {"rotary_emb.inv_freq", ".masked_bias", ".attn.bias",
                                                        ".attention.bias", "lm_head.weight"};
  return std::ranges::any_of(kBuffers, [&](std::string_view buffer) { return name.ends_with(buffer); });
}

/// Tensors that no part of the description uses: another family's parts, or layers beyond num_hidden_layers.
std::vector<std::string> unusedTensors(const Checkpoint& checkpoint, const std::vector<RequiredTensor>& required) {
  if (required.size() == checkpoint.tensors->tensors().size()) return {};  // All that are required are there.
  std::unordered_set<std::string_view> used;
  for (const auto& tensor : required) used.insert(tensor.name);
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors()) {
    if (!isHarmless(name) && !used.contains(name)) unused.push_back(name);
  }
  return unused;
}

/// Gives every tensor and view another name.
void rename(DecoderDescription& description, const std::function<std::string(const std::string&)>& renamed) {
  TensorVisitor visitor([&](std::string& name, const std::vector<std::int64_t>&) { name = renamed(name); });
  visitor(description);
  std::map<std::string, TensorView> views;
  for (auto& [name, view] : description.views) {
    if (!view.of.empty()) view.of = renamed(view.of);
    for (std::string& vector : view.vectors) vector = renamed(vector);
    views.emplace(renamed(name), std::move(view));
  }
  description.views = std::move(views);
}

/// The stored tensor behind a name.
const std::string& storedName(const DecoderDescription& description, const std::string& name) {
  const auto view = description.views.find(name);
  return view == description.views.end() ? name : view->second.of;
}

/// Stacks of matrices are stored as [matrices, in, out] by some versions of what writes them and as [matrices, out, in]
/// by others; where the two differ, what is stored counts.
void turnStacks(DecoderDescription& description, const TensorStore& store) {
  for (auto& [name, view] : description.views) {
    if (view.shape.size() != 3) continue;
    std::vector<std::int64_t> turned = view.shape;
    std::swap(turned[1], turned[2]);
    const auto stored = store.tensors().find(view.of);
    if (stored == store.tensors().end() || turned == view.shape || stored->second.shape != turned) continue;
    view.shape = std::move(turned);
    view.isTransposed = !view.isTransposed;
  }
}

}  // namespace

void findTensors(DecoderDescription& description, const TensorStore& store) {
  const auto& tensors = store.tensors();
  std::erase_if(description.views, [&](const auto& named) {
    const auto& [name, view] = named;
    return tensors.contains(name) && !tensors.contains(view.vectors.empty() ? view.of : view.vectors.front());
  });
  const std::string embedding = description.embedding.weight;
  if (tensors.contains(embedding)) return turnStacks(description, store);
  const std::string usual(prefixOf(embedding));
  const std::string_view last = std::string_view(embedding).substr(usual.size());
  const std::string layer =
      storedName(description, description.layers.front().feedForward.experts.front().down.weight).substr(usual.size());
  std::vector<std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(last) || (name.size() > last.size() && name[name.size() - last.size() - 1] != '.')) continue;
    std::string prefix = name.substr(0, name.size() - last.size());
    if (tensors.contains(prefix + layer)) prefixes.push_back(std::move(prefix));
  }
  if (prefixes.size() != 1) return turnStacks(description, store);
  const std::string& prefix = prefixes.front();
  const std::string outer(prefixOf(prefix + "weight"));  // of "language_model.model." what "lm_head" stands below
  rename(description, [&](const std::string& name) {
    if (name.starts_with(usual)) return prefix + name.substr(usual.size());
    return !tensors.contains(name) && tensors.contains(outer + name) ? outer + name : name;
  });
  turnStacks(description, store);
}

std::vector<RequiredTensor> requiredTensors(const DecoderDescription& description) {
  TensorList list;
  TensorVisitor visitor(
      [&](const std::string& name, std::vector<std::int64_t> shape) { list.add(name, std::move(shape)); });
  visitor(description);
  return list.take();
}

std::vector<RequiredTensor> storedTensors(const DecoderDescription& description) {
  if (description.views.empty()) return requiredTensors(description);
  std::map<std::string_view, std::int64_t> rows;  // of each stored tensor: those up to the last one that a view shows
  for (const auto& [name, view] : description.views) {
    std::int64_t& most = rows[view.of];
    most = std::max(most, view.first + (view.blocks - 1) * view.stride + view.block);
  }
  std::vector<RequiredTensor> all = requiredTensors(description);
  TensorList list;
  for (RequiredTensor& required : all) {
    const auto found = description.views.find(required.name);
    if (found == description.views.end()) {
      list.add(required.name, std::move(required.shape));
      continue;
    }
    const TensorView& view = found->second;
    for (const std::string& vector : view.vectors) list.add(vector, {required.shape.back()});
    if (!view.vectors.empty()) continue;
    required.shape.front() = rows.at(view.of);
    if (view.isTransposed) std::ranges::reverse(required.shape);
    list.add(view.of, view.shape.empty() ? std::move(required.shape) : view.shape);
  }
  return list.take();
}

namespace {

/// The part of a configuration that describes a decoder of text: all of it, or its text_config, where the model has
/// other parts as well. Either may say that the head is the embedding.
nlohmann::json textPart(const nlohmann::json& config) {
  nlohmann::json part = config.at(kTextPart);
  const auto tied = config.find("tie_word_embeddings");
  if (tied != config.end() && (*tied == true || !part.contains("tie_word_embeddings")))
    part["tie_word_embeddings"] = *tied;
  return part;
}

bool hasTextPart(const nlohmann::json& config) {
  const auto part = config.find(kTextPart);
  return part != config.end() && part->is_object();
}

Result<DecoderDescription> describeFields(const nlohmann::json& json, const std::string& source) {
  if (!json.is_object()) {
    return fail(ErrorCode::corruptFile, fmt::format("{} is not a JSON object.", source));
  }
  const ConfigReader whole(json, source);
  const bool isPart = hasTextPart(json);
  const nlohmann::json part = isPart ? textPart(json) : nlohmann::json();
  const ConfigReader config = isPart ? ConfigReader(part, source, fmt::format("{}.", kTextPart)) : whole;
  if (!config.has("model_type")) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} is missing; supported: {}.", config.describeField("model_type"),
                            fmt::join(familyNames(), ", ")));
  }
  KVISTA_ASSIGN(const std::string modelType, config.stringOr("model_type", ""));
  const Family* family = findFamily(modelType);
  if (family == nullptr) return unknownFamily(config, modelType);
  KVISTA_CHECK(checkKind(whole));
  KVISTA_ASSIGN(DecoderDescription description, family->describe(config));
  description.shape.family = modelType;
  return description;
}

/// What to do about any field that a family cannot use; where a sentence has a hint of its own, that one says more.
Error withHint(Error error) {
  if (!error.hint.empty()) return error;
  error.hint = error.code == ErrorCode::unsupportedModel
                   ? "Give a model that is built as the supported ones are."
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
  findTensors(description, *checkpoint.tensors);
  useStoredHead(description, checkpoint, hasTextPart(checkpoint.config));
  const std::vector<RequiredTensor> required = storedTensors(description);
  for (const RequiredTensor& tensor : required) {
    KVISTA_CHECK(checkTensor(checkpoint, tensor));
    std::int64_t count = 1;  // the product fits: the file really holds a tensor of this shape
    for (const std::int64_t size : tensor.shape) count *= size;
    description.shape.parameters += count;
  }
  if (auto unused = unusedTensors(checkpoint, required); !unused.empty()) {
    const auto shown = std::min<std::size_t>(3, unused.size());
    const std::string list =
        fmt::format("{}{}", fmt::join(unused.begin(), unused.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                    unused.size() > shown ? ", ..." : "");
    const ModelShape& shape = description.shape;
    description.warnings.push_back(
        hasTextPart(checkpoint.config) || checkpoint.config.contains("vision_config")
            ? fmt::format("Of this model its text part, a {} model with {} layers, can be used; the other {} tensors "
                          "are carried over as they are: {}.",
                          shape.family, shape.layers, unused.size(), list)
            : fmt::format(
                  "{} of the checkpoint's tensors are not part of a {} model with {} layers and are ignored: {}.",
                  unused.size(), shape.family, shape.layers, list));
  }
  return description;
}

}  // namespace kvista
