// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan/plan.h"

namespace kvista {

/// What a device can do, for roofline estimates. Figures measured, not from data sheets.
struct DeviceProfile {
  std::string name;
  double bytesPerSecond = 0;
  double flopsPerSecond = 0;  ///< 16-bit matrix arithmetic; one multiply-add is two.
  double launchSeconds = 0;   ///< Fixed cost of one attention call.
};
/// "h200" (default), ...; see cost.cpp for where each figure comes from.
const std::vector<DeviceProfile>& deviceProfiles();
Result<const DeviceProfile*> findDeviceProfile(std::string_view name);

struct CostModel {
  std::int64_t bytesPerToken = 0;  ///< Over all layers.
  /// Of the factors, the coder's steps and the means, beyond the projections that they replace; may be negative. What
  /// an export `latent` has more than the original.
  std::int64_t extraParameters = 0;
  double multiplyAddsPerCachedToken = 0;  ///< A decode step, over all layers (methods.md section 8), see costOf.
  double arithmeticSecondsPerToken = 0;   ///< Of those alone at `context`, `batch`.
  double secondsPerToken = 0;             ///< Roofline of one decode step's attention at `context`, `batch`.
  double fullSecondsPerToken = 0;         ///< The same with the uncompressed cache.
};
/// Multiply-adds for a cached token: keys before RoPE are rebuilt (rank times the key columns of the group) and scored
/// by every query head (head width); keys after RoPE are scored in the latent (rank a query head); values are summed in
/// the latent (rank a query head, the rest is done once a step). A layer takes the longer of reading its latents and
/// its arithmetic, plus one launch. A latent that several layers share is stored once and read by each. Outputs that
/// predict other layers are rebuilt whole and read by those, each number in 16 bits and through the prediction.
CostModel costOf(const CompressionPlan& plan, const ModelShape& shape, const DeviceProfile& device,
                 std::int64_t context, int batch);

/// Whether decoding's arithmetic takes at most as long as attention over the uncompressed cache, launches included.
/// `auto` grouping takes the widest groups for which this holds.
bool affordable(const CompressionPlan& plan, const ModelShape& shape, const DeviceProfile& device,
                std::int64_t context = 16384, int batch = 1);

}  // namespace kvista
