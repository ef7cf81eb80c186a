// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/adapter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <Eigen/Core>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/computed_tensors.h"
#include "core/io/json_file.h"
#include "core/io/lora_settings.h"
#include "core/io/safetensors_reader.h"
#include "core/io/torch_file.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kSavedMarks[] = {".modules_to_save", ".base_layer"};  // in the names of whole tensors
constexpr const char* kFitHint =
    "Adapter and model must belong together: see base_model_name_or_path in adapter_config.json.";

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Result<Matrix> readMatrix(const TensorStore& store, const TensorInfo& tensor) {
  Matrix matrix(tensor.shape[0], tensor.shape[1]);
  KVISTA_CHECK(store.readFloat32(tensor, std::span(matrix.data(), static_cast<std::size_t>(matrix.size()))));
  return matrix;
}

/// W + B A scale, or its transpose where W lies as [in, out].
struct Merge {
  std::shared_ptr<const TensorStore> base, adapter;
  TensorInfo weight, a, b;  // [out, in], [rank, in], [out, rank]
  float scale = 1;
  bool isTurned = false;

  Result<void> operator()(std::span<float> out) const {
    KVISTA_CHECK(base->readFloat32(weight, out));
    KVISTA_ASSIGN(const Matrix down, readMatrix(*adapter, a));
    KVISTA_ASSIGN(const Matrix up, readMatrix(*adapter, b));
    Eigen::Map<Matrix> sum(out.data(), weight.shape[0], weight.shape[1]);
    if (isTurned) {
      sum.noalias() += (scale * down).transpose() * up.transpose();
    } else {
      sum.noalias() += up * (scale * down);
    }
    return {};
  }
};

/// Puts the tensors of an adapter upon those of a model.
class Merger {
 public:
  Merger(const LoraSettings& settings, const std::shared_ptr<const TensorStore>& base,
         std::shared_ptr<const TensorStore> adapter)
      : settings_(settings),
        adapter_(std::move(adapter)),
        base_(std::make_shared<ComputedTensors>(base)),
        result_(std::make_shared<ComputedTensors>(base)) {}

  Result<std::shared_ptr<const TensorStore>> merge() {
    // Whole tensors come first: factors are added to them.
    for (const auto& [name, tensor] : adapter_->tensors()) {
      if (!name.starts_with(kPrefix)) return unsupported(tensor, fmt::format("does not begin with {}", kPrefix));
      if (name.find(".lora_") == name.npos) KVISTA_CHECK(replace(tensor));
    }
    result_ = std::make_shared<ComputedTensors>(base_);
    for (const auto& [name, tensor] : adapter_->tensors()) {
      const std::string_view rest = std::string_view(name).substr(kPrefix.size());
      if (rest.ends_with(".lora_A.weight")) {
        KVISTA_CHECK(addPair(tensor, rest, ".lora_A.weight", ".lora_B.weight"));
      } else if (rest.ends_with(".lora_embedding_A")) {
        KVISTA_CHECK(addPair(tensor, rest, ".lora_embedding_A", ".lora_embedding_B"));
      } else if (rest.ends_with(".lora_B.weight") || rest.ends_with(".lora_embedding_B")) {
        ++second_;
      } else if (rest.find(".lora_") != rest.npos) {
        return unsupported(tensor, "is neither lora_A nor lora_B");
      }
    }
    if (second_ != pairs_)
      return corrupt(adapter_->tensors().begin()->second.file,
                     fmt::format("has {} tensors lora_A, but {} lora_B", pairs_, second_));
    return result_;
  }

  [[nodiscard]] int changed() const { return pairs_ + replaced_; }

 private:
  static tl::unexpected<Error> corrupt(const fs::path& file, const std::string& what) {
    return fail(ErrorCode::corruptFile, fmt::format("{} {}.", file.string(), what), kFitHint);
  }
  static tl::unexpected<Error> unsupported(const TensorInfo& tensor, const std::string& what) {
    return fail(
        ErrorCode::unsupportedModel,
        fmt::format("{}: tensor {} {}, which is not read.", tensor.file.string(), quoteForMessage(tensor.name), what),
        "Merge the adapter with PEFT (merge_and_unload) and open the model that this gives.");
  }

  /// The model's tensor: by its name, or without the first part of it, which some files leave out ("transformer.").
  [[nodiscard]] const TensorInfo* inBase(std::string_view name) const {
    const auto& tensors = base_->tensors();
    if (const auto found = tensors.find(name); found != tensors.end()) return &found->second;
    const auto found = tensors.find(name.substr(name.find('.') + 1));
    return found == tensors.end() ? nullptr : &found->second;
  }
  Result<const TensorInfo*> needInBase(const TensorInfo& tensor, std::string_view name, std::string_view module) const {
    const TensorInfo* const found = inBase(name);
    if (found == nullptr)
      return corrupt(tensor.file,
                     fmt::format("changes {}, which the model does not have", quoteForMessage(std::string(module))));
    return found;
  }

  Result<void> addPair(const TensorInfo& a, std::string_view rest, std::string_view suffix, std::string_view other) {
    const std::string module(rest.substr(0, rest.size() - suffix.size()));
    const auto found = adapter_->tensors().find(fmt::format("{}{}{}", kPrefix, module, other));
    if (found == adapter_->tensors().end())
      return corrupt(
          a.file, fmt::format("has {} for {}, but no {}", suffix.substr(1), quoteForMessage(module), other.substr(1)));
    const TensorInfo& b = found->second;
    KVISTA_ASSIGN(const TensorInfo* const weight, needInBase(a, module + ".weight", module));
    const bool areMatrices = a.shape.size() == 2 && b.shape.size() == 2 && weight->shape.size() == 2 &&
                             isFloating(a.type) && isFloating(b.type);
    const bool share = areMatrices && a.shape[0] == b.shape[1];
    const bool fits = share && weight->shape == std::vector{b.shape[0], a.shape[1]},
               fitsTurned = share && weight->shape == std::vector{a.shape[1], b.shape[0]};
    if (!fits && !fitsTurned)
      return corrupt(a.file, fmt::format("has factors A [{}] and B [{}] for {}, whose weight is [{}] in {}",
                                         fmt::join(a.shape, ", "), fmt::join(b.shape, ", "), quoteForMessage(module),
                                         fmt::join(weight->shape, ", "), weight->file.string()));
    KVISTA_ASSIGN(const float scale, settings_.scale(module, a.shape[0]));
    // Tables of embeddings have their factors the other way round.
    const bool isTurned = fits && fitsTurned ? settings_.isTurned() || suffix == ".lora_embedding_A" : fitsTurned;
    result_->set(TensorInfo{weight->name, weight->shape, DataType::packed, weight->file},
                 Merge{base_, adapter_, *weight, a, b, scale, isTurned});
    ++pairs_;
    return {};
  }

  /// modules_to_save, biases, and tables of embeddings that stand beside their factors.
  Result<void> replace(const TensorInfo& tensor) {
    std::string name = tensor.name.substr(kPrefix.size());
    for (const std::string_view mark : kSavedMarks)
      if (const std::size_t at = name.find(mark); at != name.npos) name.erase(at, mark.size());
    KVISTA_ASSIGN(const TensorInfo* const replaced, needInBase(tensor, name, name));
    if (tensor.shape != replaced->shape || !isFloating(tensor.type))
      return corrupt(tensor.file,
                     fmt::format("holds {} [{}] of {} whole, but the model's is [{}]", quoteForMessage(name),
                                 fmt::join(tensor.shape, ", "), nameOf(tensor.type), fmt::join(replaced->shape, ", ")));
    base_->set(
        TensorInfo{replaced->name, tensor.shape, tensor.type, tensor.file},
        [adapter = adapter_, tensor = tensor](std::span<float> out) { return adapter->readFloat32(tensor, out); });
    ++replaced_;
    return {};
  }

  const LoraSettings& settings_;
  std::shared_ptr<const TensorStore> adapter_;
  // The model with whole tensors replaced; the same with factors added.
  std::shared_ptr<ComputedTensors> base_, result_;
  int pairs_ = 0, second_ = 0, replaced_ = 0;
};

Result<fs::path> weightsOf(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"})
    if (fs::exists(folder / name, ignored)) return folder / name;
  return fail(ErrorCode::io,
              fmt::format("{} has an {}, but neither adapter_model.safetensors nor adapter_model.bin.", folder.string(),
                          kAdapterConfigName),
              "Get the adapter's files again.");
}

}  // namespace

Result<void> addAdapter(const fs::path& folder, const nlohmann::json& config, Checkpoint& base) {
  KVISTA_ASSIGN(const LoraSettings settings, LoraSettings::read(config, folder / kAdapterConfigName));
  KVISTA_ASSIGN(const fs::path file, weightsOf(folder));
  KVISTA_ASSIGN(auto adapter, file.extension() == ".bin" ? openTorchFiles({file}) : openSafetensors({file}));
  Merger merger(settings, base.tensors, std::move(adapter));
  KVISTA_ASSIGN(base.tensors, merger.merge());
  if (merger.changed() == 0)
    return fail(ErrorCode::corruptFile, fmt::format("{} holds no tensors.", file.string()),
                "Get the adapter's files again.");
  base.warnings.push_back(fmt::format("The adapter changes {} tensors of {}.", merger.changed(), base.path.string()));
  // The model is described by its own files; what was added is part of what it is known by.
  std::error_code ignored;
  base.companionPath =
      base.format != Checkpoint::Format::gguf && fs::exists(folder / "tokenizer.json", ignored) ? folder : base.path;
  base.path = folder;
  base.files.push_back(file);
  base.files.push_back(folder / kAdapterConfigName);
  return {};
}

}  // namespace kvista
