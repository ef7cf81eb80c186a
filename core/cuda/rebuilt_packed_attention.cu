// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/latent_attention_kernels.h"
#include "core/cuda/rebuilt_segment.cuh"

namespace kvista {
namespace {

template <class Number, int kHeads, int kWarps>
const char* launch(const RebuiltAttentionRun& run) {
  using rebuilt_segment::launchSegments;
  return run.width == 128 ? launchSegments<Number, kHeads, kWarps, 2, 128, true>(run)
                          : launchSegments<Number, kHeads, kWarps, 2, 64, true>(run);
}

template <class Number>
const char* launch(const RebuiltAttentionRun& run) {
  const int heads = run.headsPerGroup * run.queriesPerHead;
  if (heads % 4 == 0) return launch<Number, 4, 8>(run);
  return heads % 2 == 0 ? launch<Number, 2, 4>(run) : launch<Number, 1, 4>(run);
}

}  // namespace

const char* rebuiltPackedAttention(const RebuiltAttentionRun& run, HalfType type) {
  if (run.lowFunctions != 16) return "packed latents want short segments";
  return type == HalfType::bfloat16 ? launch<__nv_bfloat16>(run) : launch<__half>(run);
}

}  // namespace kvista
