// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/forms/forms.h"
#include "core/checkpoint/stock_config.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {

namespace {

bool isRotatedKey(const CompressionPlan& plan, const Group& group) {
  return plan.keyPosition == KeyPosition::afterRope && group.slots.front().side == Side::key;
}

Result<void> check(const CompressionPlan& plan, const DecoderDescription&, const Checkpoint&) {
  KVISTA_CHECK(checkPerLayerFactors(plan, "dense"));
  for (const Group& group : plan.groups) {
    const int rank = group.rank();
    if (isRotatedKey(plan, group) && rank < static_cast<int>(group.widths.size())) {
      return fail(
          ErrorCode::invalidArgument,
          fmt::format(
              "The plan compresses keys after RoPE (layer {}, head {}, and maybe others); weights of the original "
              "architecture cannot say that, since biases, norms and rotation stand between them and those keys.",
              group.slots.front().layer, group.slots.front().head),
          "Export the form latent, or make a plan that compresses keys before RoPE.");
    }
  }
  return {};
}

/// Rows of a stored tensor that are rows [begin, begin + count) of a layer's [key; value] projections.
struct ProjectionPlace {
  int layer = 0;
  std::int64_t begin = 0, count = 0;
  std::string projection;  ///< The description's name; `view.of` too where it is all of a tensor.
  TensorView view;

  /// Where they lie in the tensor, int64 [count].
  [[nodiscard]] at::Tensor rows() const {
    return (at::arange(view.blocks, at::kLong) * view.stride)
        .unsqueeze(1)
        .add(at::arange(view.first, view.first + view.block, at::kLong))
        .flatten();
  }
};

/// A stored tensor that holds projections of keys or values, and perhaps other matrices too.
struct StoredProjections {
  std::string name;
  std::vector<ProjectionPlace> places;
};

/// In the order of the layers.
std::vector<StoredProjections> storedProjections(const DecoderDescription& description) {
  std::vector<StoredProjections> all;
  for (int layer = 0; layer < description.shape.layers; ++layer) {
    const AttentionDescription& attention = description.layers[static_cast<std::size_t>(layer)].attention;
    for (const auto& [linear, begin] :
         {std::pair(&attention.key, std::int64_t{0}), std::pair(&attention.value, attention.key.out)}) {
      const auto view = description.views.find(linear->weight);
      ProjectionPlace place{layer, begin, linear->out, linear->weight, {.of = linear->weight, .block = linear->out}};
      if (view != description.views.end()) place.view = view->second;
      auto found = std::ranges::find(all, place.view.of, &StoredProjections::name);
      if (found == all.end()) found = all.insert(found, {place.view.of, {}});
      found->places.push_back(std::move(place));
    }
  }
  return all;
}

using Compressed = std::vector<std::pair<Group, GroupFactors>>;  // of one layer

/// One layer's [key; value] projections with every group's rows replaced by up * down * rows; the last layer asked for
/// stays.
class CompressedRows {
 public:
  CompressedRows(std::shared_ptr<const TensorStore> viewed, const ExportSource& source,
                 std::vector<Compressed> compressed)
      : rows_(std::move(viewed), source.description, source.device),
        shape_(source.description.shape),
        compressed_(std::move(compressed)) {}

  [[nodiscard]] bool changes(int layer) const { return !compressed_[static_cast<std::size_t>(layer)].empty(); }

  Result<at::Tensor> layer(int layer) {
    if (layer == held_) return changed_;
    KVISTA_ASSIGN(const at::Tensor original, rows_.layer(layer));
    const at::Device device = original.device();
    held_ = -1;
    changed_ = original.clone();
    for (const auto& [group, factors] : compressed_[static_cast<std::size_t>(layer)]) {
      const at::Tensor columns = columnsOf(group, shape_).to(device);
      const at::Tensor down = factors.down.to(device).to(at::kDouble);
      const at::Tensor latent = factors.readsInput() ? down : at::matmul(down, original.index_select(0, columns));
      changed_.index_copy_(0, columns, at::matmul(factors.up.to(device).to(at::kDouble), latent));
    }
    held_ = layer;
    return changed_;
  }

 private:
  ProjectionRows rows_;
  ModelShape shape_;
  std::vector<Compressed> compressed_;
  int held_ = -1;
  at::Tensor changed_;
};

/// The plan and its factors without codes and exact tokens.
void leaveOutCoding(ExportContent& content) {
  CompressionPlan& plan = content.plan;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    GroupFactors& factors = content.factors[i];
    if (isRotatedKey(plan, plan.groups[i])) factors = {};  // all directions are kept
    for (std::uint8_t& width : plan.groups[i].widths) width = width == 0 && !factors.isIdentity() ? 0 : 16;
    std::ranges::fill(factors.widths, std::uint8_t{16});
    if (!factors.isIdentity()) factors.steps = at::zeros_like(factors.steps);
  }
  if (plan.storage == Storage::coded)
    content.notes.push_back(
        "The codes are not part of this form: every direction that the plan keeps is written at full precision, so the "
        "quality is at least the plan's.");
  if (plan.exactTokens > 0)
    content.notes.push_back(fmt::format(
        "The first {} tokens are compressed like all others: weights cannot treat them apart.", plan.exactTokens));
  content.notes.push_back("The cache of this form is as large as the original's.");
  plan.storage = Storage::lowRank16;
  plan.keyPosition = KeyPosition::beforeRope;
  plan.exactTokens = 0;
}

/// All but what holds projections of keys and values.
Result<std::vector<TensorToWrite>> carried(const Checkpoint& checkpoint, const DecoderDescription& description,
                                           DataType dtype) {
  std::set<std::string, std::less<>> projections;
  for (StoredProjections& stored : storedProjections(description)) projections.insert(std::move(stored.name));
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors->tensors())
    if (!projections.contains(name)) tensors.push_back(carriedOver(checkpoint.tensors, tensor, name, dtype));
  return tensors;
}

/// The stored tensor as it is but for the rows of projections, which become those of the plan.
Result<at::Tensor> withCompressedRows(const TensorStore& store, const StoredProjections& stored,
                                      CompressedRows& compressed) {
  if (const ProjectionPlace& only = stored.places.front(); only.view.of == only.projection) {
    KVISTA_ASSIGN(const at::Tensor all, compressed.layer(only.layer));
    return all.narrow(0, only.begin, only.count);  // Where it was computed: a GPU converts it faster than it is copied.
  }
  KVISTA_ASSIGN(const at::Tensor original, readWeight(store, stored.name));
  at::Tensor changed = original.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  for (const ProjectionPlace& place : stored.places) {
    if (!compressed.changes(place.layer)) continue;
    KVISTA_ASSIGN(const at::Tensor all, compressed.layer(place.layer));
    const at::Tensor rows = all.narrow(0, place.begin, place.count).to(at::kFloat).cpu();
    if (place.view.isTransposed)
      changed.index_copy_(1, place.rows(), rows.t());
    else
      changed.index_copy_(0, place.rows(), rows);
  }
  return changed;
}

Result<ExportContent> make(const ExportSource& source) {
  const DecoderDescription& description = source.description;
  const ModelShape shape = description.shape;
  const DataType dtype = source.dtype.value_or(DataType::f32);
  ExportContent content;
  content.config = stockConfig(source.checkpoint);
  content.cacheBytesPerToken = shape.cacheBytesPerToken();
  content.plan = source.plan;
  content.factors = source.factors;
  leaveOutCoding(content);

  std::vector<Compressed> groups(static_cast<std::size_t>(shape.layers));
  for (std::size_t i = 0; i < content.factors.size(); ++i) {
    const Group& group = content.plan.groups[i];
    if (!content.factors[i].isIdentity())
      groups[static_cast<std::size_t>(group.slots.front().layer)].emplace_back(group, content.factors[i]);
  }
  const auto& store = source.checkpoint.tensors;
  KVISTA_ASSIGN(const auto viewed, withViews(store, description.views));
  const auto compressed = std::make_shared<CompressedRows>(viewed, source, std::move(groups));
  for (const StoredProjections& stored : storedProjections(description)) {
    const TensorInfo& tensor = store->tensors().at(stored.name);
    if (std::ranges::none_of(stored.places,
                             [&](const ProjectionPlace& place) { return compressed->changes(place.layer); }))
      content.tensors.push_back(carriedOver(store, tensor, stored.name, dtype));
    else
      content.tensors.push_back(
          computed(stored.name, tensor.shape, dtype, [=] { return withCompressedRows(*store, stored, *compressed); }));
  }
  return content;
}

}  // namespace

ExportForm denseForm() {
  return {
      .name = "dense",
      .summary =
          "The original architecture with low-rank weights: runs everywhere, for evaluation; the cache is not smaller",
      .runsIn = "whatever runs the original model",
      .howToLoad = kLoadAsOriginal,
      .isStock = true,
      .check = check,
      .carried = carried,
      .make = make};
}

}  // namespace kvista
