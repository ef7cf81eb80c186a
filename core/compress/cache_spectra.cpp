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
  if (!request.byHead)
    return fail(ErrorCode::invalidArgument, "Statistics hold keys after RoPE head by head; there is no spectrum of a whole layer's.",
                "Ask for heads, or for keys before RoPE.");
  if (request.moments != CacheMoments::raw)
    return fail(ErrorCode::invalidArgument, "Statistics hold keys after RoPE as they are, with the first tokens and without a mean.",
                "Ask for raw moments, or for keys before RoPE.");
  return {};
}

}  // namespace

Result<std::vector<CacheSpectrum>> cacheSpectra(const Decoder& decoder, const Statistics& statistics, const std::vector<int>& layers,
                                                const SpectraRequest& request, const Task& task) {
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
      std::vector<std::vector<Slot>> parts;
      for (int head = 0; head < statistics.shape.kvHeads; ++head) {
        if (request.byHead || head == 0) parts.emplace_back();
        parts.back().push_back({layer, side, head});
      }
      for (const std::vector<Slot>& slots : parts) {
        KVISTA_ASSIGN(std::vector<double> values, moments.eigenvalues(slots));
        for (double& value : values) value = std::sqrt(std::max(value, 0.0));
        spectra.push_back({layer, side, request.byHead ? slots.front().head : -1, std::move(values)});
      }
    }
  }
  return spectra;
}

}  // namespace kvista
