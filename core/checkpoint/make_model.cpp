// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/make_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/checkpoint/begun_export.h"
#include "core/io/atomic_file.h"
#include "core/io/safetensors_writer.h"
#include "core/io/virtual_tensors.h"
#include "core/model/description.h"
#include "core/text/byte_alphabet.h"

namespace kvista {
namespace {

constexpr std::uint64_t kRoomForOtherFiles = std::uint64_t{8} << 20;
constexpr int kBytes = 256;
constexpr int kBos = kBytes, kEos = kBytes + 1;

// Published config.json files, by the names people know.
constexpr PublishedShape kShapes[] = {
    {"smollm2-135m", "SmolLM2 135M", "llama", "LlamaForCausalLM", 30, 576, 1536, 9, 3, 64, 49152, 8192, 100000, 1e-5,
     true},
    {"qwen3-0.6b", "Qwen3 0.6B", "qwen3", "Qwen3ForCausalLM", 28, 1024, 3072, 16, 8, 128, 151936, 40960, 1000000, 1e-6,
     true},
    {"llama-2-7b", "Llama 2 7B: a K and a V head for every query head", "llama", "LlamaForCausalLM", 32, 4096, 11008,
     32, 32, 128, 32000, 4096, 10000, 1e-5, false},
    {"llama-2-13b", "Llama 2 13B: a K and a V head for every query head", "llama", "LlamaForCausalLM", 40, 5120, 13824,
     40, 40, 128, 32000, 4096, 10000, 1e-5, false},
    {"llama-3-8b", "Llama 3 8B", "llama", "LlamaForCausalLM", 32, 4096, 14336, 32, 8, 128, 128256, 8192, 500000, 1e-5,
     false},
    {"llama-3-70b", "Llama 3 70B", "llama", "LlamaForCausalLM", 80, 8192, 28672, 64, 8, 128, 128256, 8192, 500000, 1e-5,
     false},
    {"mistral-7b", "Mistral 7B v0.3", "mistral", "MistralForCausalLM", 32, 4096, 14336, 32, 8, 128, 32768, 32768,
     1000000, 1e-5, false},
    {"qwen2.5-7b", "Qwen2.5 7B", "qwen2", "Qwen2ForCausalLM", 28, 3584, 18944, 28, 4, 128, 152064, 131072, 1000000,
     1e-6, false},
    {"qwen3-8b", "Qwen3 8B", "qwen3", "Qwen3ForCausalLM", 36, 4096, 12288, 32, 8, 128, 151936, 40960, 1000000, 1e-6,
     false},
};

Result<const PublishedShape*> findShape(const std::string& name) {
  const auto* const found = std::ranges::find(kShapes, name, &PublishedShape::name);
  if (found != std::end(kShapes)) return found;
  std::vector<std::string_view> names;
  for (const PublishedShape& shape : kShapes) names.push_back(shape.name);
  return fail(ErrorCode::invalidArgument,
              fmt::format("There is no shape {}; there are {}.", name, fmt::join(names, ", ")));
}

nlohmann::json configOf(const PublishedShape& shape, int layers) {
  nlohmann::json config = {{"architectures", nlohmann::json::array({shape.architecture})},
                           {"model_type", shape.modelType},
                           {"num_hidden_layers", layers},
                           {"hidden_size", shape.hiddenSize},
                           {"intermediate_size", shape.intermediateSize},
                           {"num_attention_heads", shape.queryHeads},
                           {"num_key_value_heads", shape.kvHeads},
                           {"head_dim", shape.headDim},
                           {"vocab_size", shape.vocabulary},
                           {"max_position_embeddings", shape.positions},
                           {"rope_theta", shape.ropeTheta},
                           {"rms_norm_eps", shape.epsilon},
                           {"hidden_act", "silu"},
                           {"tie_word_embeddings", shape.tied},
                           {"use_cache", true},
                           {"torch_dtype", "bfloat16"},
                           {"bos_token_id", kBos},
                           {"eos_token_id", kEos}};
  if (shape.modelType == "mistral") config["sliding_window"] = nullptr;
  if (shape.modelType.starts_with("qwen")) config["use_sliding_window"] = false;
  return config;
}

/// Byte-level BPE without merges: a token a byte, so that any text can be read and written. The vocabulary's other rows
/// are those of a real model, but no text reaches them.
nlohmann::json tokenizerJson() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < kBytes; ++byte) {
    const char one = static_cast<char>(byte);
    std::string letter;
    appendByteLetters(letter, {&one, 1});
    vocabulary[letter] = byte;
  }
  const auto special = [](int id, const char* content) {
    return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const nlohmann::json byteLevel = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", nlohmann::json::array({special(kBos, "<s>"), special(kEos, "</s>")})},
          {"normalizer", nullptr},
          {"pre_tokenizer", byteLevel},
          {"post_processor", nullptr},
          {"decoder", byteLevel},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocabulary)},
            {"merges", nlohmann::json::array()}}}};
}

/// Norms near 1. Projections whose output is about as large as their input; those that write to the residual stream
/// share its growth among them all.
RandomTensors randomTensorsOf(const DecoderDescription& description, std::uint64_t seed) {
  RandomTensors random;
  random.seed = seed;
  for (const RequiredTensor& tensor : storedTensors(description)) {
    const bool isBias = tensor.name.ends_with(".bias");
    if (tensor.shape.size() == 1) {
      random.tensors[tensor.name] = {tensor.shape, isBias ? 0.0F : 1.0F, 0.1F};
    } else {
      random.tensors[tensor.name] = {tensor.shape, 0,
                                     static_cast<float>(1 / std::sqrt(static_cast<double>(tensor.shape.back())))};
    }
  }
  const auto shared = static_cast<float>(1 / std::sqrt(2.0 * description.shape.layers));
  for (const LayerDescription& layer : description.layers) {
    random.tensors.at(layer.attention.output.weight).deviation *= shared;
    random.tensors.at(layer.feedForward.experts.front().down.weight).deviation *= shared;
  }
  return random;
}

Result<std::vector<std::string>> writeWeights(const std::filesystem::path& folder, const RandomTensors& random,
                                              const DecoderDescription& description, const Task& task) {
  std::vector<TensorToWrite> tensors;
  for (const RequiredTensor& required : storedTensors(description)) {
    const std::string& name = required.name;
    // Its own: the next tensor is made while this one is written.
    const auto held = std::make_shared<std::vector<std::uint16_t>>();
    tensors.push_back(
        {name, required.shape, DataType::bf16,
         [held, &random, &name = random.tensors.find(name)->first]() -> Result<std::span<const std::byte>> {
           const RandomTensor& tensor = random.tensors.find(name)->second;
           std::size_t count = 1;
           for (const std::int64_t length : tensor.shape) count *= static_cast<std::size_t>(length);
           held->resize(count);
           fillRandom(random.seed, name, tensor, 0, *held);
           return std::as_bytes(std::span<const std::uint16_t>(*held));
         }});
  }
  return writeShardedSafetensors(folder, std::move(tensors), kShardBytes, task);
}

}  // namespace

std::span<const PublishedShape> publishedShapes() { return kShapes; }

Result<MadeModel> makeModel(const ModelRequest& request, const Task& task) {
  KVISTA_ASSIGN(const PublishedShape* shape, findShape(request.shape));
  const int layers = request.layers.value_or(shape->layers);
  if (layers < 1 || layers > shape->layers)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} has {} layers; it cannot be made with {}.", shape->name, shape->layers, layers),
                fmt::format("Give 1 to {} layers.", shape->layers));
  const nlohmann::json config = configOf(*shape, layers);
  KVISTA_ASSIGN(const DecoderDescription description,
                describeConfig(config, "config.json of " + request.target.string()));
  const RandomTensors random = randomTensorsOf(description, request.seed);

  MadeModel made;
  made.shape = description.shape;
  for (const RequiredTensor& tensor : storedTensors(description)) {
    std::int64_t count = 1;
    for (const std::int64_t length : tensor.shape) count *= length;
    made.shape.parameters += count;
  }
  made.weightBytes = 2 * static_cast<std::uint64_t>(made.shape.parameters);
  KVISTA_ASSIGN(
      AtomicDirectory folder,
      AtomicDirectory::create(request.target, kRoomForOtherFiles + (request.isVirtual ? 0 : made.weightBytes), false));
  const auto write = [&](std::string_view name, const nlohmann::json& json) {
    made.files.emplace_back(name);
    return writeFileAtomically(folder.path() / name, json.dump(1) + "\n");
  };
  KVISTA_CHECK(write("config.json", config));
  KVISTA_CHECK(write("tokenizer.json", tokenizerJson()));
  KVISTA_CHECK(write("tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                               {"bos_token", "<s>"},
                                               {"eos_token", "</s>"},
                                               {"model_max_length", shape->positions}}));
  if (request.isVirtual) {
    KVISTA_CHECK(write(kVirtualTensorsName, toJson(random)));
  } else {
    KVISTA_ASSIGN(const std::vector<std::string> weights, writeWeights(folder.path(), random, description, task));
    made.files.insert(made.files.end(), weights.begin(), weights.end());
  }
  KVISTA_CHECK(folder.commit());
  return made;
}

}  // namespace kvista
