// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda.h>

#include <type_traits>

#include "core/cuda/tensor_core.cuh"

/// Products of warpgroups, four warps of which each has a quarter of the rows (PTX ISA, wgmma; compute
/// capability 9.0a). Both operands lie in shared memory in panels: rows of 16 numbers, 32 bytes, whose halves have
/// changed places in every row of which bit 2 is set (the ISA's 32-byte swizzle), so that eight rows of a half lie in
/// different banks. Panels begin at multiples of 256 bytes. Code for other capabilities is empty.
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define KVISTA_HAS_WARPGROUPS
#endif

namespace kvista::tensor_core {

constexpr int kPanelRowBytes = 32;

/// Where the first or second half of a row begins, in bytes.
__host__ __device__ constexpr int panelPlace(int row, int half) {
  return row * kPanelRowBytes + ((half ^ row >> 2) & 1) * 16;
}

/// Numbers in global memory [batch, tokens, elements], of which the copy engine brings panels.
using PanelSource = CUtensorMap;

/// rows: of a panel; strides in bytes. What lies outside of the numbers is 0 where it is copied.
inline cudaError_t describeSource(PanelSource& source, bool isFloat16, const void* from, std::int64_t elements,
                                  std::int64_t tokens, std::int64_t batch, std::int64_t tokenBytes,
                                  std::int64_t batchBytes, int rows) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found);
  if (error != cudaSuccess) return error;
  if (found != cudaDriverEntryPointSuccess) return cudaErrorNotSupported;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(elements), static_cast<cuuint64_t>(tokens),
                              static_cast<cuuint64_t>(batch)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(tokenBytes), static_cast<cuuint64_t>(batchBytes)};
  const cuuint32_t box[] = {kPanelRowBytes / 2, static_cast<cuuint32_t>(rows), 1}, steps[] = {1, 1, 1};
  const CUresult result = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(entry)(
      &source, isFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3,
      const_cast<void*>(from), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_32B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

#ifdef KVISTA_HAS_WARPGROUPS

/// A barrier in shared memory that copies arrive at. One thread makes it before any other uses it.
using CopyBarrier = std::uint64_t;
__device__ inline void makeBarrier(CopyBarrier& barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;\n" ::"r"(sharedAddress(&barrier)) : "memory");
}
/// Its copies are those that follow, of so many bytes.
__device__ inline void expectCopies(CopyBarrier& barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(sharedAddress(&barrier)), "r"(bytes)
               : "memory");
}
/// Copies a panel that begins with this element of this token.
__device__ inline void copyPanel(std::uint32_t to, const PanelSource& source, int element, int token, int batch,
                                 CopyBarrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];\n" ::
          "r"(to),
      "l"(&source), "r"(element), "r"(token), "r"(batch), "r"(sharedAddress(&barrier))
      : "memory");
}
/// Until the copies of the barrier's `use`, counted from 0, are there.
__device__ inline void waitForBarrier(CopyBarrier& barrier, int use) {
  asm volatile(
      "{\n.reg .pred there;\nAGAIN:\nmbarrier.try_wait.parity.shared::cta.b64 there, [%0], %1;\n@!there bra "
      "AGAIN;\n}\n" ::"r"(sharedAddress(&barrier)),
      "r"(use % 2)
      : "memory");
}

/// Until all four warps of a warpgroup are here; others need not come. `which`: of the block's warpgroups.
__device__ inline void waitForWarpgroup(int which) { asm volatile("bar.sync %0, 128;\n" ::"r"(which + 1) : "memory"); }

/// What this thread has written to shared memory before is seen by products that come after the next meeting of
/// threads.
__device__ inline void showToProducts() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

/// Sums that products add to: the compiler may not move what it does with them past this.
template <int kCount>
__device__ void keepInPlace(float (&sums)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}
__device__ inline void beginProducts() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void endProducts() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
__device__ inline void waitForProducts() { asm volatile("wgmma.wait_group.sync.aligned 0;\n" ::: "memory"); }

/// The same for all lanes, which the compiler then knows.
__device__ inline int uniform(int value) { return __shfl_sync(0xffffffffU, value, 0); }

/// A panel, or several `apart` bytes from each other, as the ISA describes matrices.
struct Panels {
  std::uint64_t described;

  __device__ inline Panels(std::uint32_t address, int apart)
      : described((address >> 4 & 0x3FFF) | static_cast<std::uint64_t>(apart >> 4) << 16 |
                  std::uint64_t{8 * kPanelRowBytes >> 4} << 32 | std::uint64_t{3} << 62) {}
  __device__ inline void move(int bytes) { described += bytes >> 4; }
  __device__ inline Panels moved(int bytes) const {
    Panels result = *this;
    result.move(bytes);
    return result;
  }
};

#define KVISTA_REGISTERS_32                                                                            \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21" \
  ", %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define KVISTA_REGISTERS_64                                                                              \
  KVISTA_REGISTERS_32                                                                                    \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51" \
  ", %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define KVISTA_REGISTERS_128                                                                               \
  KVISTA_REGISTERS_64                                                                                      \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83"   \
  ", %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102"     \
  ", %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119" \
  ", %120, %121, %122, %123, %124, %125, %126, %127"
#define KVISTA_SUMS_4(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
#define KVISTA_SUMS_16(i) KVISTA_SUMS_4(i), KVISTA_SUMS_4(i + 4), KVISTA_SUMS_4(i + 8), KVISTA_SUMS_4(i + 12)
#define KVISTA_SUMS_32(i) KVISTA_SUMS_16(i), KVISTA_SUMS_16(i + 16)
#define KVISTA_SUMS_64(i) KVISTA_SUMS_32(i), KVISTA_SUMS_32(i + 32)
#define KVISTA_SUMS_128(i) KVISTA_SUMS_64(i), KVISTA_SUMS_64(i + 64)
// n: columns; registers: the sums; a, b, c: numbers of the operands after them; transposed: whether a is; then the
// sums.
#define KVISTA_PRODUCT(type, n, registers, a, b, c, transposed, ...)                                                  \
  asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %" c ", 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32." type \
               "." type " {" registers "}, %" a ", %" b ", add, 1, 1, " transposed ", 0;\n}\n"                        \
               : __VA_ARGS__                                                                                          \
               : "l"(left.described), "l"(right.described), "r"(static_cast<int>(add)))
#define KVISTA_PRODUCTS(...)                      \
  if constexpr (std::is_same_v<Number, __half>) { \
    KVISTA_PRODUCT("f16", __VA_ARGS__);           \
  } else {                                        \
    KVISTA_PRODUCT("bf16", __VA_ARGS__);          \
  }

/// sums [64, kColumns] = left [64, 16] right [kColumns, 16]^T, or += where `add`: one panel each. A lane's sums lie as
/// those of mma.m16n8k16 do, 4 for each 8 columns, of its warp's 16 rows.
template <class Number, int kColumns>
__device__ void multiplyPanels(float (&sums)[kColumns / 2], const Panels& left, const Panels& right, bool add) {
  static_assert(kColumns == 64 || kColumns == 128 || kColumns == 256);
  if constexpr (kColumns == 64) {
    KVISTA_PRODUCTS("64", KVISTA_REGISTERS_32, "32", "33", "34", "0", KVISTA_SUMS_32(0))
  } else if constexpr (kColumns == 128) {
    KVISTA_PRODUCTS("128", KVISTA_REGISTERS_64, "64", "65", "66", "0", KVISTA_SUMS_64(0))
  } else {
    KVISTA_PRODUCTS("256", KVISTA_REGISTERS_128, "128", "129", "130", "0", KVISTA_SUMS_128(0))
  }
}

/// sums [64, 8] += left^T right^T, left: 16 rows of four panels; right: a panel of 8 rows.
template <class Number>
__device__ void multiplyTransposed(float (&sums)[4], const Panels& left, const Panels& right) {
  constexpr bool add = true;
  KVISTA_PRODUCTS("8", "%0, %1, %2, %3", "4", "5", "6", "1", KVISTA_SUMS_4(0))
}

#undef KVISTA_PRODUCTS
#undef KVISTA_PRODUCT
#undef KVISTA_SUMS_128
#undef KVISTA_SUMS_64
#undef KVISTA_SUMS_32
#undef KVISTA_SUMS_16
#undef KVISTA_SUMS_4
#undef KVISTA_REGISTERS_128
#undef KVISTA_REGISTERS_64
#undef KVISTA_REGISTERS_32

#endif

}  // namespace kvista::tensor_core
