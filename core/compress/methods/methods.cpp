// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/compress/method.h"
#include "core/plan/chaining.h"
#include "core/plan/grouping.h"

// One line a method: X(name) is the function `Method nameMethod()` of its file in this folder.
#define KVISTA_METHODS(X) \
  X(coded)                \
  X(codedJoint)           \
  X(codedChain)           \
  X(codedHead)            \
  X(joint)                \
  X(separate)             \
  X(grouped)              \
  X(recalkv)              \
  X(paluM)                \
  X(paluG)                \
  X(paluJ)                \
  X(svdLlm)               \
  X(cskv)                 \
  X(svd)                  \
  X(lorc)                 \
  X(commonkv)             \
  X(gqa)                  \
  X(kvHeads)              \
  X(kqsvd)                \
  X(ksvd)                 \
  X(eigen)                \
  X(matryoshka)           \
  X(kvsharer)             \
  X(values)               \
  X(mla)                  \
  X(plain)

namespace kvista {

#define KVISTA_DECLARE(name) Method name##Method();
KVISTA_METHODS(KVISTA_DECLARE)

const std::vector<Method>& methods() {
#define KVISTA_CALL(name) name##Method(),
  static const std::vector<Method> all = {KVISTA_METHODS(KVISTA_CALL)};
  return all;
}

Result<const Method*> findMethod(std::string_view name) {
  const auto found = std::ranges::find(methods(), name, &Method::name);
  if (found != methods().end()) return &*found;
  std::vector<std::string_view> names;
  for (const Method& method : methods()) names.push_back(method.name);
  return fail(ErrorCode::invalidArgument, fmt::format("There is no method \"{}\".", name),
              fmt::format("Choose one of: {}.", fmt::join(names, ", ")));
}

std::string_view whyNotCompensated(const Method& method) {
  if (method.storage == Storage::plainQuantised) return "has no latent that could be fitted";
  if (method.keyPosition == KeyPosition::afterRope)
    return "compresses keys after RoPE, which are no linear function of what comes in";
  if (method.sharesHeads) return "keeps what commutes with RoPE, which a fit does not";
  if (method.layersTogether > 1) return "has factors that several layers share";
  if (method.sharesLayers) return "lets layers read the cache of another";
  return method.sequential ? "goes from layer to layer in a way of its own" : "";
}

std::string_view whyNotCentred(const Method& method) {
  if (method.weightsOnly) return "looks at weights alone, which have no mean over tokens";
  if (method.storage == Storage::plainQuantised) return "has no bases";
  if (method.sharesHeads) return "makes heads of a stock checkpoint, which keeps no mean";
  if (method.sharesLayers) return "makes no bases";
  return method.sequential ? "goes from layer to layer in a way of its own" : "";
}

std::string_view whyNotChained(const Method& method) { return whyNotChained(method.storage, method.grouping); }

std::string_view whyNotUnwhitened(const Method& method) {
  if (method.storage != Storage::lowRank16) return "has codes whose steps are fitted to text";
  if (method.keyPosition == KeyPosition::afterRope)
    return "compresses keys after RoPE, which the weights alone do not give";
  if (method.sharesLayers) return "makes no bases";
  return method.weightsOnly ? "looks at weights alone in any case" : "";
}

std::string_view whyNotUncalibrated(const Method& method) {
  return method.sequential ? "" : "calibrates no values that could stay as they are";
}

std::string_view whyNotShared(const Method& method) {
  if (method.storage == Storage::plainQuantised)
    return "stores each layer's own numbers, and needs every layer's own cache";
  if (method.keyPosition == KeyPosition::afterRope)
    return "compresses keys after RoPE, and needs every layer's own cache";
  return method.sequential ? "goes from layer to layer in a way of its own, and needs every layer's own cache" : "";
}

int fittingRankStep(const Method& method, const ModelShape& shape) {
  constexpr int kSteps = 4;
  const bool isHead = method.grouping == "head" || method.grouping == "values";
  const bool isSized = findGrouping(method.grouping).has_value() && method.grouping != "all";
  const int heads = isHead ? 1 : isSized ? std::clamp(method.groupSize, 1, shape.kvHeads) : shape.kvHeads;
  const int width = heads * std::min(shape.headDim, shape.valueHeadDim);
  int step = method.rankStep;
  while (step > 1 && kSteps * step > width) step /= 2;
  return step;
}

}  // namespace kvista
