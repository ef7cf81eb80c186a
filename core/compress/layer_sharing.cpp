// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/layer_sharing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/base/amount.h"
#include "core/compress/plan_transform.h"

namespace kvista {
namespace {

constexpr std::int64_t kWindows = 8, kTokens = 256;

at::Tensor firstWindows(const at::Tensor& ids) {
  return ids.narrow(0, 0, std::min(kWindows, ids.size(0))).narrow(1, 0, std::min(kTokens, ids.size(1))).to(at::kLong);
}

Result<void> checkMap(const std::vector<int>& map, int layers) {
  const auto bad = [](std::string problem) {
    return fail(ErrorCode::invalidArgument, std::move(problem), "Make a map with `kvista sharing`.");
  };
  if (map.size() != static_cast<std::size_t>(layers))
    return bad(fmt::format("The map is of {} layers, the model has {}.", map.size(), layers));
  for (int layer = 0; layer < layers; ++layer) {
    const int source = map[static_cast<std::size_t>(layer)];
    if (source < 0 || source > layer || map[static_cast<std::size_t>(source)] != source)
      return bad(
          fmt::format("In the map layer {} reads layer {}, which must be itself or an earlier one with its own cache.",
                      layer, source));
  }
  return {};
}

Result<double> cosineWith(const Decoder& decoder, const at::Tensor& ids, const at::Tensor& original,
                          const std::vector<int>& sharedFrom, const Task& task) {
  CompressionPlan plan;  // whose layers are stored as they are
  plan.sharedFrom = sharedFrom;
  const PlanTransform transform(plan, {}, decoder.shape(), decoder.options().device);
  KVISTA_ASSIGN(const ForwardResult shared, decoder.forward(ids, &transform, {}, false, task));
  return at::cosine_similarity(original, shared.hiddenLast.to(at::kDouble), -1).mean().item<double>();
}

}  // namespace

Result<Matrix> layerDistances(const Decoder& decoder, const at::Tensor& ids, const Task& task) {
  const int layers = decoder.shape().layers;
  const at::Tensor some = firstWindows(ids);
  std::vector<at::Tensor> means(static_cast<std::size_t>(layers));  // sums over windows, [tokens, keys and values]
  const LayerVisitor visitor = [&](const LayerRecord& record) -> Result<void> {
    const at::Tensor keys = record.rotatedKeys.transpose(1, 2).flatten(2, 3).sum(0, false, at::kDouble);
    const at::Tensor sum = at::cat({keys, record.values.sum(0, false, at::kDouble)}, 1).cpu();
    at::Tensor& own = means[static_cast<std::size_t>(record.layer)];
    own = own.defined() ? own + sum : sum;
    return {};
  };
  KVISTA_CHECK(decoder.forward(some, nullptr, visitor, false, task));
  Matrix distances{layers, layers,
                   std::vector<float>(static_cast<std::size_t>(layers) * static_cast<std::size_t>(layers))};
  for (std::size_t i = 0; i < means.size(); ++i)
    for (std::size_t j = 0; j < means.size(); ++j)
      distances.values[i * means.size() + j] =
          static_cast<float>((means[i] - means[j]).norm().item<double>() / static_cast<double>(some.size(0)));
  return distances;
}

Result<double> cosineWithSharing(const Decoder& decoder, const at::Tensor& ids, const std::vector<int>& sharedFrom,
                                 const Task& task) {
  KVISTA_CHECK(checkMap(sharedFrom, decoder.shape().layers));
  const at::Tensor some = firstWindows(ids);
  KVISTA_ASSIGN(const ForwardResult original, decoder.forward(some, nullptr, {}, false, task));
  return cosineWith(decoder, some, original.hiddenLast.to(at::kDouble), sharedFrom, task);
}

Result<LayerSharing> shareLayers(const Decoder& decoder, const at::Tensor& ids, const SharingRequest& request,
                                 const Task& task) {
  const int layers = decoder.shape().layers;
  if (request.layers < 0 || request.layers >= layers)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} of {} layers cannot read the cache of another.", request.layers, layers),
                fmt::format("Give at most {}.", layers - 1));
  LayerSharing sharing;
  KVISTA_ASSIGN(sharing.distances, layerDistances(decoder, ids, task));
  sharing.sharedFrom.resize(static_cast<std::size_t>(layers));
  std::iota(sharing.sharedFrom.begin(), sharing.sharedFrom.end(), 0);
  if (request.layers == 0) return sharing;

  std::vector<std::pair<int, int>> pairs;  // earlier, later
  for (int later = 1; later < layers; ++later)
    for (int earlier = 0; earlier < later; ++earlier) pairs.emplace_back(earlier, later);
  std::ranges::stable_sort(pairs, std::greater{},
                           [&](const auto& pair) { return sharing.distances.at(pair.first, pair.second); });

  const at::Tensor some = firstWindows(ids);
  KVISTA_ASSIGN(const ForwardResult original, decoder.forward(some, nullptr, {}, false, task));
  const at::Tensor states = original.hiddenLast.to(at::kDouble);
  int taken = 0;
  for (const auto& [earlier, later] : pairs) {
    if (taken == request.layers) break;
    KVISTA_CHECK(task.checkStop());
    task.progress("share layers", static_cast<std::uint64_t>(taken), static_cast<std::uint64_t>(request.layers),
                  "layers");
    std::vector<int>& map = sharing.sharedFrom;
    const bool reads =
        map[static_cast<std::size_t>(later)] != later || map[static_cast<std::size_t>(earlier)] != earlier;
    const bool isRead = std::ranges::count(map, later) > 1;
    if (reads || isRead) continue;
    map[static_cast<std::size_t>(later)] = earlier;
    KVISTA_ASSIGN(const double cosine, cosineWith(decoder, some, states, map, task));
    if (cosine >= request.threshold) {
      sharing.cosine = cosine;
      ++taken;
      continue;
    }
    map[static_cast<std::size_t>(later)] = later;
    ++sharing.refused;
  }
  if (taken < request.layers)
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("{} can read the cache of another with a cosine of final states of {} or more; {} were asked for.",
                    amount(taken, "layer"), request.threshold, request.layers),
        (taken > 0 ? fmt::format("Ask for {} at most (a plan: a share of {:.4g} or more), or allow a smaller cosine: ",
                                 taken, std::ceil(1e4 * (layers - taken) / layers) / 1e4)
                   : std::string("Allow a smaller cosine: ")) +
            "in the window by Plan anew, Caches: Change…, at the command line by `kvista sharing --cosine`, whose map "
            "plans take by --sharing.");
  return sharing;
}

}  // namespace kvista
