// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>

#include "core/io/gguf_convert.h"
#include "core/io/gguf_dequantise.h"

namespace kvista {
namespace {

struct NamePair {
  std::string_view gguf;
  std::string_view huggingFace;
};

constexpr NamePair kModelNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

// Of layer N: "blk.N.<gguf>.weight" is "model.layers.N.<huggingFace>.weight"; projections may have a bias as well.
constexpr NamePair kNorms[] = {
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
};
constexpr NamePair kHeadNorms[] = {
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
};
constexpr NamePair kProjections[] = {
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"}, {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_gate", "mlp.gate_proj"},  {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

struct LayerTensor {
  std::int64_t layer = 0;
  std::string_view part;    // "attn_q"
  std::string_view suffix;  // "weight"
};

/// "blk.3.attn_q.weight" in its pieces.
std::optional<LayerTensor> splitLayerName(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  LayerTensor out;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), out.layer);
  const auto digits = static_cast<std::size_t>(end - name.data());
  if (error != std::errc{} || out.layer < 0 || (digits > 1 && name.front() == '0')) return std::nullopt;
  name.remove_prefix(digits);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name.front() != '.') return std::nullopt;
  out.part = name.substr(1, dot - 1);
  out.suffix = name.substr(dot + 1);
  return out;
}

template <std::size_t n>
std::optional<std::string_view> lookUp(const NamePair (&names)[n], std::string_view name) {
  for (const NamePair& pair : names)
    if (pair.gguf == name) return pair.huggingFace;
  return std::nullopt;
}

/// Hugging Face's name, or nothing for a tensor that models of this architecture do not have.
std::optional<std::string> huggingFaceName(std::string_view name, bool hasHeadNorms) {
  if (const auto whole = lookUp(kModelNames, name)) return std::string(*whole);
  const auto split = splitLayerName(name);
  if (!split) return std::nullopt;
  const bool isWeight = split->suffix == "weight";
  if (!isWeight && split->suffix != "bias") return std::nullopt;
  auto part = lookUp(kProjections, split->part);
  if (!part && isWeight) part = lookUp(kNorms, split->part);
  if (!part && isWeight && hasHeadNorms) part = lookUp(kHeadNorms, split->part);
  if (!part) return std::nullopt;
  return fmt::format("model.layers.{}.{}.{}", split->layer, *part, split->suffix);
}

/// Tables of frequencies that a model can do without, since they follow from the configuration.
bool isRotaryTable(std::string_view name) {
  return name == "rope_freqs.weight" || name.ends_with(".attn_rot_embd.weight");
}

class GgufTensorStore final : public TensorStore {
 public:
  explicit GgufTensorStore(std::shared_ptr<const GgufFile> file) : file_(std::move(file)) {}

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return infos_; }

  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    const auto found = sources_.find(tensor.name);
    if (found == sources_.end() || found->second.permutedHeads != 0) return {};
    const GgufTensor& source = *found->second.tensor;
    const bool isPlain = source.type == DataType::f32 || source.type == DataType::f16 || source.type == DataType::bf16;
    return isPlain ? source.bytes : std::span<const std::byte>{};
  }

  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = sources_.find(tensor.name);
    if (found == sources_.end())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{} has no tensor '{}'.", file_->path().string(), printable(tensor.name)));
    const Source& source = found->second;
    const std::uint64_t count = infos_.find(tensor.name)->second.count();
    if (out.size() != count)
      return fail(ErrorCode::invalidArgument, fmt::format("Tensor '{}' has {} numbers, but there is place for {}.",
                                                          tensor.name, count, out.size()));
    if (source.permutedHeads == 0) return dequantise(source.tensor->type, source.tensor->bytes, out);
    return readPermuted(source, out);
  }

  /// `permutedHeads`: how many heads' rows are to be un-permuted, or 0.
  void add(const std::string& name, const GgufTensor& tensor, std::int64_t permutedHeads) {
    infos_.emplace(name, TensorInfo{name, tensor.shape, tensor.type, file_->path()});
    sources_.emplace(name, Source{&tensor, permutedHeads});
  }

 private:
  struct Source {
    const GgufTensor* tensor = nullptr;
    std::int64_t permutedHeads = 0;  // 0: rows lie as Hugging Face has them
  };

  /// llama.cpp rotates neighbouring rows (2j, 2j + 1) where Hugging Face rotates rows j and j + d/2 of a head, so its
  /// converter interleaves the two halves of each head; this puts them back.
  static Result<void> readPermuted(const Source& source, std::span<float> out) {
    const auto rows = static_cast<std::size_t>(source.tensor->shape.front());
    const std::size_t headRows = rows / static_cast<std::size_t>(source.permutedHeads);
    const std::size_t rowBytes = source.tensor->bytes.size() / rows;
    const std::size_t rowLength = out.size() / rows;
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t within = row % headRows;
      const std::size_t from = row - within + 2 * (within % (headRows / 2)) + within / (headRows / 2);
      KVISTA_CHECK(dequantise(source.tensor->type, source.tensor->bytes.subspan(from * rowBytes, rowBytes),
                              out.subspan(row * rowLength, rowLength)));
    }
    return {};
  }

  std::shared_ptr<const GgufFile> file_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
  std::map<std::string, Source, std::less<>> sources_;
};

}  // namespace

Result<std::shared_ptr<const TensorStore>> ggufTensors(std::shared_ptr<const GgufFile> file,
                                                       const nlohmann::json& config) {
  KVISTA_ASSIGN(const auto architecture, ggufArchitecture(*file));
  const auto layers = config["num_hidden_layers"].get<std::int64_t>();
  auto store = std::make_shared<GgufTensorStore>(file);
  for (const auto& [name, tensor] : file->tensors()) {
    if (isRotaryTable(name)) continue;
    const auto newName = huggingFaceName(name, architecture == "qwen3");
    if (!newName)
      return file->unsupported(
          fmt::format("tensor '{}' is not known in models of architecture '{}'.", printable(name), architecture));
    std::int64_t permutedHeads = 0;
    if (const auto split = splitLayerName(name)) {
      if (split->layer >= layers)
        return file->corrupt(
            fmt::format("tensor '{}' belongs to a layer that a model of {} layers does not have.", name, layers));
      if (architecture == "llama" && split->part == "attn_q")
        permutedHeads = config["num_attention_heads"].get<std::int64_t>();
      if (architecture == "llama" && split->part == "attn_k")
        permutedHeads = config["num_key_value_heads"].get<std::int64_t>();
    }
    if (permutedHeads != 0 && tensor.shape.front() % (2 * permutedHeads) != 0)
      return file->corrupt(fmt::format("tensor '{}' has {} rows, which {} heads cannot share in even numbers.", name,
                                       tensor.shape.front(), permutedHeads));
    // A bias has one number a row, so its rows can only be told apart where numbers are not packed into blocks.
    if (permutedHeads != 0 && tensor.shape.size() == 1 && !byteCount(tensor.type, 1))
      return file->unsupported(
          fmt::format("tensor '{}' is a bias stored as {}; supported: F32, F16, BF16.", name, nameOf(tensor.type)));
    store->add(*newName, tensor, permutedHeads);
  }
  return store;
}

}  // namespace kvista
