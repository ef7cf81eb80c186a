// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/cache_spectra.h"

#include <algorithm>
#include <cmath>

#include "core/compress/basis.h"

namespace kvista {
namespace {

Result<void> check(const SpectraRequest& request) {
  const bool rotated = request.logits || request.position == KeyPosition::afterRope;
  if (!rotated) return {};
  if (!request.byHead || request.andTogether)
    return fail(ErrorCode::invalidArgument,
                "Statistics hold keys after RoPE head by head; there is no spectrum of a whole layer's.",
                "Ask for heads, or for keys before RoPE.");
  if (request.moments != CacheMoments::raw)
    return fail(ErrorCode::invalidArgument,
                "Statistics hold keys after RoPE as they are, with the first tokens and without a mean.",
                "Ask for raw moments, or for keys before RoPE.");
  return {};
}

}  // namespace

Result<std::vector<CacheSpectrum>> cacheSpectra(const Decoder& decoder, const Statistics& statistics,
                                                const std::vector<int>& layers, const SpectraRequest& request,
                                                const Task& task) {
  KVISTA_CHECK(check(request));
  BasisRequest basis;
  basis.metric = request.logits ? Metric::query : Metric::identity;
  basis.keyPosition = request.logits ? KeyPosition::afterRope : request.position;
  basis.withoutSinks = request.moments == CacheMoments::sinkFree;
  basis.centred = request.moments == CacheMoments::centred;
  std::vector<CacheSpectrum> spectra;
  std::uint64_t done = 0;
  for (const int layer : layers) {
    KVISTA_CHECK(task.checkStop());
    task.progress("spectra", done++, layers.size(), "layers");
    KVISTA_ASSIGN(const LayerMoments moments, LayerMoments::of(decoder, &statistics, layer, basis));
    for (const Side side : {Side::key, Side::value}) {
      if (request.logits && side == Side::value) continue;
      std::vector<Slot> all;
      for (int head = 0; head < statistics.shape.kvHeads; ++head) all.push_back({layer, side, head});
      std::vector<std::pair<int, std::vector<Slot>>> parts;
      if (!request.byHead || request.andTogether) parts.emplace_back(-1, all);
      for (const Slot& slot : all)
        if (request.byHead) parts.push_back({slot.head, {slot}});
      for (const auto& [head, slots] : parts) {
        KVISTA_CHECK(task.checkStop());
        KVISTA_ASSIGN(std::vector<double> values, moments.eigenvalues(slots));
        for (double& value : values) value = std::sqrt(std::max(value, 0.0));
        spectra.push_back({layer, side, head, std::move(values)});
      }
    }
  }
  return spectra;
}

}  // namespace kvista
