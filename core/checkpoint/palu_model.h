// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// What the scripts of Palu (Chang et al. 2024) and ReCalKV call a family: "palullama" of "llama"; empty where they
/// know none.
std::string_view paluModelType(std::string_view family);

/// True for a checkpoint as those scripts write it, or the form `palu`.
bool isPalu(const Checkpoint& checkpoint);

/// The same model in the original architecture. `head_wise_ranks` of its configuration names projections P with the
/// ranks of their groups of heads; P.VT.weight [sum of ranks, in] and P.U.g.weight [rows of a group, rank g] become
/// P.weight [out, in] = rows of U.g VT.g, and P.U.g.bias become P.bias. `permutation_info` of a projection says for
/// each head at which place among the groups its rows are. Errors: corruptFile, naming field or tensor.
Result<Checkpoint> asOriginal(const Checkpoint& checkpoint);

}  // namespace kvista
