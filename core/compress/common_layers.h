// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/error.h"
#include "core/compress/basis.h"
#include "core/model/decoder.h"

namespace kvista {

/// CommonKV (methods.md section 11): the key and value projections of `together` adjacent layers one below the other are decomposed at
/// once, sum over layers of W^T W = V diag(lambda) V^T, W [2kv, hiddenSize], so that W ~ (W V_r) V_r^T in each: one V_r^T makes the
/// latents z = V_r^T x of all of them, which lie in one space. The basis of `layer` has up = W V and, since factors read outputs
/// y = W x, down = V^T W^+; its eigenvalues are lambda over the number of layers, 0 beyond the hidden size. Error: invalidArgument
/// where outputs are narrower than inputs, which they then do not determine.
Result<GroupBasis> commonLayerBasis(const Decoder& decoder, int layer, int together);

}  // namespace kvista
