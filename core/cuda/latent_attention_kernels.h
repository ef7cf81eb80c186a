// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/latent_attention.h"

namespace kvista {

const char* rebuiltAttention(const RebuiltAttentionRun& run, HalfType type, int device);
int blocksByWarpgroups(const RebuiltAttentionRun& sizes, int device);
const char* rebuiltAttentionByWarpgroups(const RebuiltAttentionRun& run, HalfType type);
const char* rebuiltPackedAttention(const RebuiltAttentionRun& run, HalfType type);
const char* directAttention(const DirectAttentionRun& run, HalfType type, int device);

}  // namespace kvista
