// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan/plan.h"
#include "core/plan/shape.h"

namespace kvista {

/// `kvista.format` in config.json. Older formats differ in what the model code reads, which travels with them; their
/// tensors have the same names.
inline constexpr int kLatentFormat = 2;

/// One group as a `latent` checkpoint holds it: tensors `model.layers.{layer}.self_attn.groups.{place}.`
///   down.weight  [r, hidden size] (down * W, applied to the layer's input) or [r, n] (down, applied to the heads'
///   outputs) up.weight    [n, r] steps        [coded directions], float32 down.bias    [r], up.bias [n]: shift and
///   offset of centred plans' factors prediction.weight    [n, n]: prediction of factors that have one
struct LatentGroup {
  std::size_t index = 0;  ///< In the plan.
  int layer = 0;
  int place = 0;  ///< Among the layer's groups.
  Group group;
  std::vector<std::uint8_t> widths;  ///< Of the latent: falling, none 0.
  bool fromHidden = false;           ///< The projection's weight is multiplied into `down`.
  bool isCentred = false;            ///< `down` and `up` have biases.
  std::optional<int> predictedFrom;  ///< What that layer predicts is taken away before `down`, and added behind `up`.
  bool hasTrellis = false;           ///< Its codes go through one.
  bool isIdentity = false;           ///< No `up`; `down` only if fromHidden (the projection's own rows).

  [[nodiscard]] std::string name(std::string_view tensor) const;
  [[nodiscard]] std::int64_t codedDirections() const;
};

/// A token that stays exact needs its whole keys and values, keys after RoPE are computed before they are compressed,
/// what another layer predicts is taken away from whole outputs, and some policies read tokens exactly that the plan
/// compresses: there the projections are kept and `down` is applied to their outputs. Elsewhere they are multiplied
/// into `down`.
struct LatentLayout {
  /// In the plan's order, but for those of layers that read another's cache or store numbers of tokens.
  std::vector<LatentGroup> groups;
  std::vector<bool> keepsKeys, keepsValues;  ///< Of each layer: k_proj.weight, v_proj.weight are there.
};

/// `identity`: of each group, whether its factors are the identity; `keepsProjections`: all are kept. The groups' slots
/// must be of one layer each.
LatentLayout latentLayout(const CompressionPlan& plan, const std::vector<bool>& identity, const ModelShape& shape,
                          bool keepsProjections);

/// What `kvista` in config.json says of a plan to the model code: key_position, exact_tokens, token_numbers, and each
/// layer's `groups` and `reads`, as resources/model_code/configuration_kvista.py explains them.
nlohmann::json describePlan(const CompressionPlan& plan, const LatentLayout& layout, const ModelShape& shape);

/// Where `own`, the `kvista` of a config.json, does not say what describePlan answered (a field that is left out says
/// its usual value): the field with both values, as in "kvista.exact_tokens is 2 in config.json and 4 by the plan".
/// Empty: it does.
std::string whereUnlike(const nlohmann::json& own, const nlohmann::json& described);

}  // namespace kvista
