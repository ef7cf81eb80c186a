// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/model/live_cache.h"

namespace kvista {

/// The most tokens of a text that can be read again in parts of `part` tokens at positions that the model was made for:
/// each part stands behind the whole text, the 8 tokens that lead it in before it.
std::int64_t longestReadAgain(const Decoder& decoder, std::int64_t part);
/// Refuses more tokens than these.
Result<void> checkReadAgain(const Decoder& decoder, std::int64_t tokens, std::int64_t part);

/// How much the text needs each place of the cache to say itself again (KVzip, Kim et al. 2025): the text is read once
/// more behind the cache, in parts of `part` tokens that do not see each other, each led in by the 8 tokens before it;
/// the answer is the highest attention that any of its queries gives, of all query heads of a kv head. A layer each,
/// [b, kvHeads, s], float32. `ids` int64 [b, cache.tokens]. Errors: as checkReadAgain.
Result<std::vector<at::Tensor>> reconstructionScores(const Decoder& decoder, const LiveCache& cache,
                                                     const at::Tensor& ids, std::int64_t part, const Task& task);

}  // namespace kvista
