// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kvista {

/// 16-bit numbers of a cache.
enum class HalfType : std::int32_t { bfloat16, float16 };

/// Numbers of a token's keys that are scored as they are (pairs of the highest frequencies), and pairs of them.
inline constexpr int kDirectPairs = 16;

/// A latent as a record holds it: numbers of 16 bits, then codes of 8, 4, 2 and 1 bit, first code in the lowest bits;
/// every run is padded to 4 bytes, the whole to 16. A code means (code - 2^(bits - 1) + 1/2) * step (methods.md section
/// 10).
struct PackedLatent {
  static constexpr int kRuns = 5;
  std::int32_t counts[kRuns];  ///< Directions of 16, 8, 4, 2 and 1 bit.
  std::int32_t rank;           ///< Their sum.
  std::int64_t offset;         ///< In a token's record, in bytes; a multiple of 16.
  const void* up;              ///< [width, rank], not read of groups
  const float* steps;          ///< [rank], 1 for numbers; of groups, `up` holds them

  static constexpr int bits(int run) { return 16 >> run; }
  /// 32-bit words of a run.
  constexpr int words(int run) const { return (counts[run] * bits(run) + 31) / 32; }
  /// Words of the whole.
  constexpr int words() const {
    int sum = 0;
    for (int run = 0; run < kRuns; ++run) sum += words(run);
    return (sum + 3) / 4 * 4;
  }
  /// Fours of codes in which a word is taken apart; of codes of 8 bits, their two halves.
  static constexpr int foursOfWord(int run) { return run == 1 ? 2 : 8 / bits(run); }
  constexpr int fours() const {
    int sum = 0;
    for (int run = 1; run < kRuns; ++run) sum += words(run) * foursOfWord(run);
    return sum;
  }
  /// Numbers that a run takes where kernels unpack it: whole words, and a multiple of 8.
  constexpr int room(int run) const { return (words(run) * (32 / bits(run)) + 7) / 8 * 8; }
  /// Numbers that all runs take.
  constexpr int unpackedRank() const {
    int sum = 0;
    for (int run = 0; run < kRuns; ++run) sum += room(run);
    return sum;
  }
  /// Where direction `within` of a run stands then: codes of the lower and of the upper half of a word take turns.
  constexpr int unpackedPlace(int run, int within) const {
    int begin = 0;
    for (int r = 0; r < run; ++r) begin += room(r);
    if (run == 0) return begin + within;
    const int each = 32 / bits(run), code = within % each;
    return begin + within - code + code % (each / 2) * 2 + code / (each / 2);
  }
  /// Parts of at most 32 directions in which the values are summed.
  constexpr int units() const { return (words(0) + 15) / 16 + (fours() + 7) / 8; }
};

/// One group of heads with the latents of its keys and of its values, ranks multiples of 8. Where records are packed,
/// ranks are unpackedRank(), rows of keyUp and columns of valueUp are multiplied by the codes' steps and stand at
/// unpackedPlace, and those that no code has are 0.
struct RebuiltGroup {
  const void* keyUp;    ///< [keyRank, heads * width]: the transpose of what rebuilds the keys, pairs (j, j + width / 2)
                        ///< by falling frequency
  const void* valueUp;  ///< [heads * width, valueRank]
  /// Of the group in a token's record of keys, in numbers; a multiple of 8. Not read of packed ones.
  std::int64_t keyOffset;
  std::int64_t valueOffset;
  std::int32_t keyRank, valueRank;
  std::int32_t firstHead;     ///< Of the heads of keys.
  PackedLatent keys, values;  ///< Where records are packed.
};

/// Attention of one new token of each sequence over latents of keys before RoPE (methods.md section 8). Keys are never
/// rebuilt as such. The score of the token `t0 + d` of a segment that begins at t0 is, with the query rotated back by
/// t0,
///   sum_j cos(d f_j) a_j + sin(d f_j) b_j,  a_j, b_j: products of its latent with one row of a matrix each,
/// of which the pairs of low frequency span far fewer functions of d than they are: `table` holds orthogonal ones. What
/// is left is one product of a latent with `2 * kDirectPairs + lowFunctions` columns a head instead of `width`. All
/// pointers are multiples of 16 bytes. A segment may stand for some that follow it, which then have no part (exponent
/// minus infinity, sum 0).
struct RebuiltAttentionRun {
  const void* queries;  ///< [batch, queryHeads, width], after RoPE, pairs as in keyUp
  /// Latents [batch, tokens, ...] with the strides below; the same pointer for joint latents.
  const void *keys, *values;
  /// In numbers, multiples of 8; of packed records in bytes, of 16.
  std::int64_t keyBatchStride, keyTokenStride, valueBatchStride, valueTokenStride;
  const RebuiltGroup* groups;  ///< [groupCount], in the memory of the device
  const float* frequencies;    ///< [width / 2], falling
  const void* table;           ///< float16 [(2 * kDirectPairs + lowFunctions) / 8, tableTokens, 8]
  const float* lowCosine;  ///< [width / 2 - kDirectPairs, lowFunctions]: cos(d f_j) = sum_m lowCosine[j, m] table[d, m]
  const float* lowSine;
  float* partials;    ///< [batch, queryHeads, segments, maximumValueRank]
  float* statistics;  ///< [batch, queryHeads, segments, 2]: largest exponent (base 2) and sum
  void* result;       ///< [batch, queryHeads, width]
  float scale;        ///< Of the scores, 1 / sqrt(width) as a rule.
  std::int32_t batch, tokens, queryHeads, queriesPerHead, width;
  std::int32_t groupCount, headsPerGroup, maximumKeyRank, maximumValueRank;
  std::int32_t segment;                             ///< Tokens, a multiple of 256.
  std::int32_t lowFunctions;                        ///< 16 or 32; of packed records 16.
  std::int32_t tableTokens;                         ///< That the table holds, at least a segment.
  std::int32_t keyElements, valueElements;          ///< Numbers that a record has at least. Not read of packed ones.
  std::int32_t maximumKeyWords, maximumValueWords;  ///< Of packed latents; 0 where records are numbers.
};

/// One head of keys and values.
struct DirectGroup {
  PackedLatent keys, values;
};

/// Attention of one new token of each sequence over latents of single heads with keys after RoPE: the query is carried
/// into the latent once and nothing is rebuilt.
struct DirectAttentionRun {
  const void* queries;        ///< [batch, queryHeads, width], after RoPE
  const void *keys, *values;  ///< records [batch, tokens, ...] with the strides below
  std::int64_t keyBatchStride, keyTokenStride, valueBatchStride, valueTokenStride;  ///< In bytes, multiples of 16.
  const DirectGroup* groups;  ///< [queryHeads / queriesPerHead], in the memory of the device
  void* weights;      ///< 16-bit [batch, queryHeads, maximumRank]: the query in the latent, for the kernel's own use
  float* units;       ///< [batch, queryHeads, 2], likewise
  float* partials;    ///< [batch, queryHeads, segments, maximumRank]
  float* statistics;  ///< [batch, queryHeads, segments, 2]
  void* result;       ///< [batch, queryHeads, width]
  float scale;
  std::int32_t batch, tokens, queryHeads, queriesPerHead, width;  ///< At most 8 queries a head.
  std::int32_t maximumRank, maximumKeyWords, maximumValueWords, maximumValueUnits;
  std::int32_t segment;  ///< Tokens, a multiple of 128.
};

/// Each answers nullptr, or in words what was refused. Work is queued on the default stream of `device`.
struct LatentAttentionKernels {
  const char* (*rebuilt)(const RebuiltAttentionRun&, HalfType, int device);
  /// Blocks of four query heads and a segment that a multiprocessor has at a time where `rebuilt` works by warpgroups,
  /// 0 where it does not; of the sizes, the batch, the tokens and the table are not read. With warpgroups it wants 32
  /// functions, and segments as long as leave enough blocks.
  int (*blocksByWarpgroups)(const RebuiltAttentionRun& sizes, int device);
  const char* (*direct)(const DirectAttentionRun&, HalfType, int device);
};

}  // namespace kvista

/// What libkvista_cuda.so exports under this name.
extern "C" const kvista::LatentAttentionKernels* kvistaLatentAttentionKernels();
