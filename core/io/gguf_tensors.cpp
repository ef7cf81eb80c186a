// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/io/gguf_architectures.h"
#include "core/io/gguf_convert.h"
#include "core/io/gguf_dequantise.h"
#include "core/io/gguf_rows.h"

namespace kvista {
namespace {

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

/// A tensor's name in both worlds.
struct Match {
  const GgufName* name = nullptr;
  std::string huggingFace;  // may hold "{}"
};

const GgufName* find(std::span<const GgufName> names, std::string_view part) {
  for (const GgufName& name : names)
    if (name.gguf == part) return &name;
  return nullptr;
}

/// Nothing for a tensor that models of this architecture do not have.
std::optional<Match> match(std::string_view full, const GgufArchitecture& architecture) {
  const GgufName* name = nullptr;
  std::string prefix;
  std::string_view suffix;
  if (const auto split = splitLayerName(full)) {
    for (const auto& names : architecture.layerNames)
      if (name == nullptr) name = find(names, split->part);
    prefix = fmt::format("{}{}.", architecture.layerPrefix, split->layer);
    suffix = split->suffix;
  } else if (const std::size_t dot = full.rfind('.'); dot != std::string_view::npos) {
    name = find(architecture.modelNames, full.substr(0, dot));
    suffix = full.substr(dot + 1);
  }
  if (name == nullptr || !(suffix == "weight" || (suffix == "bias" && name->canHaveBias))) return std::nullopt;
  return Match{name, fmt::format("{}{}.{}", prefix, name->huggingFace, suffix)};
}

std::string withIndex(const std::string& name, std::string_view index) {
  const std::size_t place = name.find("{}");
  return name.substr(0, place) + std::string(index) + name.substr(place + 2);
}

/// Tables of frequencies, which the configuration holds.
bool isRotaryTable(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" || name == "rope_factors_short.weight" ||
         name.ends_with(".attn_rot_embd.weight");
}

/// One tensor as Hugging Face has it: numbers that lie together in the file, and what is to be done to them.
struct Source {
  DataType type = DataType::f32;
  std::span<const std::byte> bytes;
  RowOrder order = {};
  std::size_t transposedColumns = 0;  // of the file's matrix; 0: it lies as Hugging Face has it
  bool isPlusOne = false;
  /// Latent attention: keys [heads, latent, keyWidth] in `bytes`, values [heads, valueWidth, latent] here.
  const GgufTensor* values = nullptr;
  std::array<std::size_t, 4> expansion = {};  // heads, latent, keyWidth, valueWidth

  [[nodiscard]] bool isAsItLies() const { return !order && transposedColumns == 0 && !isPlusOne && values == nullptr; }
};

class GgufTensorStore final : public TensorStore {
 public:
  explicit GgufTensorStore(std::shared_ptr<const GgufFile> file) : file_(std::move(file)) {}

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return infos_; }

  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    const auto found = sources_.find(tensor.name);
    if (found == sources_.end() || !found->second.isAsItLies()) return {};
    const DataType type = found->second.type;
    const bool isPlain = type == DataType::f32 || type == DataType::f16 || type == DataType::bf16;
    return isPlain ? found->second.bytes : std::span<const std::byte>{};
  }

  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = sources_.find(tensor.name);
    if (found == sources_.end())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{} has no tensor '{}'.", file_->path().string(), printable(tensor.name)));
    const Source& source = found->second;
    const TensorInfo& info = infos_.find(tensor.name)->second;
    if (out.size() != info.count())
      return fail(ErrorCode::invalidArgument, fmt::format("Tensor '{}' has {} numbers, but there is place for {}.",
                                                          tensor.name, info.count(), out.size()));
    if (source.values != nullptr) return readExpansion(source, out);
    if (source.transposedColumns != 0) return readTransposed(source, out);
    if (source.order) return readRows(source, static_cast<std::size_t>(info.shape.front()), out);
    KVISTA_CHECK(dequantise(source.type, source.bytes, out));
    if (source.isPlusOne)
      for (float& number : out) number -= 1;
    return {};
  }

  Result<void> add(const std::string& name, std::vector<std::int64_t> shape, Source source) {
    const DataType type = source.type;
    if (!infos_.emplace(name, TensorInfo{name, std::move(shape), type, file_->path()}).second)
      return file_->corrupt(fmt::format("it holds tensor '{}' twice, in two forms.", name));
    sources_.emplace(name, std::move(source));
    return {};
  }

 private:
  static Result<void> readRows(const Source& source, std::size_t rows, std::span<float> out) {
    const std::size_t rowBytes = source.bytes.size() / rows;
    const std::size_t rowLength = out.size() / rows;
    for (std::size_t row = 0; row < rows; ++row)
      KVISTA_CHECK(dequantise(source.type, source.bytes.subspan(source.order(row) * rowBytes, rowBytes),
                              out.subspan(row * rowLength, rowLength)));
    return {};
  }

  static Result<void> readTransposed(const Source& source, std::span<float> out) {
    std::vector<float> all(out.size());
    KVISTA_CHECK(dequantise(source.type, source.bytes, all));
    const std::size_t columns = source.transposedColumns;
    const std::size_t rows = all.size() / columns;
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t column = 0; column < columns; ++column) out[column * rows + row] = all[row * columns + column];
    return {};
  }

  static Result<void> readExpansion(const Source& source, std::span<float> out) {
    const auto [heads, latent, keyWidth, valueWidth] = source.expansion;
    std::vector<float> keys(heads * latent * keyWidth);
    std::vector<float> values(heads * valueWidth * latent);
    KVISTA_CHECK(dequantise(source.type, source.bytes, keys));
    KVISTA_CHECK(dequantise(source.values->type, source.values->bytes, values));
    for (std::size_t head = 0; head < heads; ++head) {
      float* rows = out.data() + head * (keyWidth + valueWidth) * latent;
      for (std::size_t i = 0; i < keyWidth; ++i)
        for (std::size_t j = 0; j < latent; ++j) rows[i * latent + j] = keys[(head * latent + j) * keyWidth + i];
      std::copy_n(values.data() + head * valueWidth * latent, valueWidth * latent, rows + keyWidth * latent);
    }
    return {};
  }

  std::shared_ptr<const GgufFile> file_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
  std::map<std::string, Source, std::less<>> sources_;
};

/// Puts the file's tensors into the store, as many as one stands for.
class TensorAdder {
 public:
  TensorAdder(const GgufFile& file, const nlohmann::json& config, GgufTensorStore& store) : file_(file), store_(store) {
    const auto number = [&](const char* key) { return config.value(key, std::int64_t{0}); };
    heads_ = number("num_attention_heads");
    kvHeads_ = number("num_key_value_heads");
    headDim_ = number("head_dim");
    latent_ = number("kv_lora_rank");
    keyWidth_ = number("qk_nope_head_dim");
    valueWidth_ = number("v_head_dim");
  }

  Result<void> add(const std::string& name, const GgufTensor& tensor, const Match& match) {
    Source source{.type = tensor.type, .bytes = tensor.bytes};
    const std::int64_t rows = tensor.shape.front();
    switch (match.name->change) {
      case GgufChange::none:
        if (match.huggingFace.find("{}") != std::string::npos) return addEach(name, tensor, match.huggingFace);
        break;
      case GgufChange::queryHalves:
      case GgufChange::keyHalves: {
        const std::int64_t heads = match.name->change == GgufChange::queryHalves ? heads_ : kvHeads_;
        if (rows % (2 * heads) != 0)
          return file_.corrupt(
              fmt::format("tensor '{}' has {} rows, which {} heads cannot share in even numbers.", name, rows, heads));
        source.order = halvesApart(static_cast<std::size_t>(rows / heads));
        break;
      }
      case GgufChange::byProjection:
        KVISTA_CHECK(checkFusedRows(name, rows));
        if (heads_ % kvHeads_ != 0)
          return file_.corrupt(fmt::format("{} query heads cannot share {} key heads.", heads_, kvHeads_));
        source.order = groupsTogether(static_cast<std::size_t>(heads_), static_cast<std::size_t>(kvHeads_),
                                      static_cast<std::size_t>(headDim_));
        break;
      case GgufChange::divided:
        return addDivided(name, tensor, match.huggingFace);
      case GgufChange::transposed:
        if (tensor.shape.size() != 2) break;  // a bias
        source.transposedColumns = static_cast<std::size_t>(tensor.shape[1]);
        return store_.add(match.huggingFace, {tensor.shape[1], rows}, std::move(source));
      case GgufChange::plusOne:
        source.isPlusOne = true;
        break;
      case GgufChange::apart:
        return addExpansion(name, tensor, match.huggingFace);
    }
    // A bias has one number a row, so its rows can only be told apart where numbers are not packed into blocks.
    if (source.order && tensor.shape.size() == 1 && !byteCount(tensor.type, 1))
      return file_.unsupported(
          fmt::format("tensor '{}' is a bias stored as {}; supported: F32, F16, BF16.", name, nameOf(tensor.type)));
    return store_.add(match.huggingFace, tensor.shape, std::move(source));
  }

 private:
  /// The slices of a tensor along its first axis.
  Result<void> addEach(const std::string& name, const GgufTensor& tensor, const std::string& huggingFace) {
    const auto count = static_cast<std::size_t>(tensor.shape.front());
    if (tensor.shape.size() < 2 || count == 0 || tensor.bytes.size() % count != 0)
      return file_.corrupt(fmt::format("tensor '{}' must hold several, one after the other.", name));
    const std::size_t bytes = tensor.bytes.size() / count;
    for (std::size_t index = 0; index < count; ++index)
      KVISTA_CHECK(store_.add(withIndex(huggingFace, std::to_string(index)),
                              {tensor.shape.begin() + 1, tensor.shape.end()},
                              {.type = tensor.type, .bytes = tensor.bytes.subspan(index * bytes, bytes)}));
    return {};
  }

  Result<void> checkFusedRows(const std::string& name, std::int64_t rows) const {
    const std::int64_t expected = (heads_ + 2 * kvHeads_) * headDim_;
    if (rows == expected) return {};
    return file_.corrupt(fmt::format("tensor '{}' has {} rows; {} query heads and {} key heads of {} need {}.", name,
                                     rows, heads_, kvHeads_, headDim_, expected));
  }

  Result<void> addDivided(const std::string& name, const GgufTensor& tensor, const std::string& huggingFace) {
    KVISTA_CHECK(checkFusedRows(name, tensor.shape.front()));
    const std::size_t rowBytes = tensor.bytes.size() / static_cast<std::size_t>(tensor.shape.front());
    if (!byteCount(tensor.type, tensor.shape.size() == 1 ? 1 : static_cast<std::uint64_t>(tensor.shape[1])))
      return file_.unsupported(
          fmt::format("tensor '{}' is stored as {}, whose blocks its rows share.", name, nameOf(tensor.type)));
    std::size_t first = 0;
    for (const auto& [part, heads] : {std::pair{"q", heads_}, {"k", kvHeads_}, {"v", kvHeads_}}) {
      std::vector<std::int64_t> shape = tensor.shape;
      shape.front() = heads * headDim_;
      const std::size_t bytes = static_cast<std::size_t>(shape.front()) * rowBytes;
      KVISTA_CHECK(store_.add(withIndex(huggingFace, part), std::move(shape),
                              {.type = tensor.type, .bytes = tensor.bytes.subspan(first, bytes)}));
      first += bytes;
    }
    return {};
  }

  /// Latent attention's expansion from `keys` and the tensor with its values; where the file has it whole too, that
  /// one.
  Result<void> addExpansion(const std::string& name, const GgufTensor& keys, const std::string& huggingFace) {
    const auto sibling = [&](std::string_view part) {
      return file_.tensor(name.substr(0, name.rfind("attn_")) + std::string(part) + ".weight");
    };
    if (sibling("attn_kv_b") != nullptr) return {};
    const GgufTensor* values = sibling("attn_v_b");
    if (values == nullptr) return file_.corrupt(fmt::format("it has '{}' and no attn_v_b beside it.", name));
    const auto count = [](const GgufTensor& tensor) {
      std::int64_t product = 1;  // the file has been checked to hold as many
      for (const std::int64_t length : tensor.shape) product *= length;
      return product;
    };
    if (count(keys) != heads_ * latent_ * keyWidth_ || count(*values) != heads_ * latent_ * valueWidth_)
      return file_.corrupt(fmt::format(
          "'{}' and the attn_v_b beside it hold {} and {} numbers; {} heads need {} and {}.", name, count(keys),
          count(*values), heads_, heads_ * latent_ * keyWidth_, heads_ * latent_ * valueWidth_));
    const auto size = [](std::int64_t number) { return static_cast<std::size_t>(number); };
    return store_.add(huggingFace, {heads_ * (keyWidth_ + valueWidth_), latent_},
                      {.type = keys.type,
                       .bytes = keys.bytes,
                       .values = values,
                       .expansion = {size(heads_), size(latent_), size(keyWidth_), size(valueWidth_)}});
  }

  const GgufFile& file_;
  GgufTensorStore& store_;
  std::int64_t heads_ = 0, kvHeads_ = 0, headDim_ = 0, latent_ = 0, keyWidth_ = 0, valueWidth_ = 0;
};

}  // namespace

Result<std::shared_ptr<const TensorStore>> ggufTensors(std::shared_ptr<const GgufFile> file,
                                                       const nlohmann::json& config) {
  KVISTA_ASSIGN(const GgufArchitecture* const architecture, ggufArchitecture(*file));
  const auto layers = config["num_hidden_layers"].get<std::int64_t>();
  auto store = std::make_shared<GgufTensorStore>(file);
  TensorAdder adder(*file, config, *store);
  for (const auto& [name, tensor] : file->tensors()) {
    const bool isPartOfExpansion = architecture->rope == GgufRope::separate && name.ends_with(".attn_v_b.weight");
    if (isRotaryTable(name) || isPartOfExpansion) continue;
    const auto matched = match(name, *architecture);
    if (!matched)
      return file->unsupported(
          fmt::format("tensor '{}' is not known in models of architecture '{}'.", printable(name), architecture->name));
    if (const auto split = splitLayerName(name); split && split->layer >= layers)
      return file->corrupt(
          fmt::format("tensor '{}' belongs to a layer that a model of {} layers does not have.", name, layers));
    if (tensor.shape.empty() || tensor.shape.front() == 0)
      return file->corrupt(fmt::format("tensor '{}' is empty.", name));
    KVISTA_CHECK(adder.add(name, tensor, *matched));
  }
  return store;
}

}  // namespace kvista
