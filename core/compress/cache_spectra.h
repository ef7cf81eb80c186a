// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/model/decoder.h"
#include "core/plan/plan.h"

namespace kvista {

/// What spectra are taken of (methods.md section 7): second moments as they are, as KV-CoRE has them; around the mean;
/// or without the first kSinkTokens of each window.
enum class CacheMoments : std::uint8_t { raw, centred, sinkFree };
inline constexpr std::array<std::pair<std::string_view, CacheMoments>, 3> kCacheMoments = {
    {{"raw", CacheMoments::raw}, {"centred", CacheMoments::centred}, {"sink-free", CacheMoments::sinkFree}}};

struct SpectraRequest {
  CacheMoments moments = CacheMoments::raw;
  /// After RoPE there are heads alone, and moments as they are; values have no position and are the same.
  KeyPosition position = KeyPosition::beforeRope;
  bool byHead = false;
  /// Where it goes by head: of all heads of a side together too, before them. Keys before RoPE.
  bool andTogether = false;
  /// Of the scores of a head's keys with its group's queries after RoPE (KQ-SVD's S) in the place of its keys; no
  /// values. Heads alone.
  bool logits = false;
};

/// Singular values of the keys or values of one layer, or of one head of it, a token: roots of their second moment's
/// eigenvalues.
struct CacheSpectrum {
  int layer = 0;
  Side side = Side::key;
  int head = -1;                       ///< -1: all heads together.
  std::vector<double> singularValues;  ///< Falling.
};

/// Keys before values of each layer. Error: invalidArgument for what the statistics do not hold.
Result<std::vector<CacheSpectrum>> cacheSpectra(const Decoder& decoder, const Statistics& statistics,
                                                const std::vector<int>& layers, const SpectraRequest& request,
                                                const Task& task);

}  // namespace kvista
