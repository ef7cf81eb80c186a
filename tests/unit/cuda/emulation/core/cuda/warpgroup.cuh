// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// The instructions of core/cuda/warpgroup.cuh on a CPU. Products are done when they are asked for.
#pragma once

#include "core/cuda/tensor_core.cuh"

#define KVISTA_HAS_WARPGROUPS

namespace kvista::tensor_core {

constexpr int kPanelRowBytes = 32;
constexpr int panelPlace(int row, int half) { return row * kPanelRowBytes + ((half ^ row >> 2) & 1) * 16; }

struct PanelSource {
  const char* from;
  std::int64_t sizes[3], strides[2];  // elements, tokens, batch
  int rows;
};
inline cudaError_t describeSource(PanelSource& source, bool, const void* from, std::int64_t elements,
                                  std::int64_t tokens, std::int64_t batch, std::int64_t tokenBytes,
                                  std::int64_t batchBytes, int rows) {
  source = {static_cast<const char*>(from), {elements, tokens, batch}, {tokenBytes, batchBytes}, rows};
  return cudaSuccess;
}

// Copies are done when they are asked for.
using CopyBarrier = std::uint64_t;
inline void makeBarrier(CopyBarrier&) {}
inline void expectCopies(CopyBarrier&, int) {}
inline void copyPanel(std::uint32_t to, const PanelSource& source, int element, int token, int batch, CopyBarrier&) {
  for (int row = 0; row < source.rows; ++row)
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 8; ++i) {
        const std::int64_t x = element + half * 8 + i, y = token + row;
        const bool there = x < source.sizes[0] && y < source.sizes[1] && batch < source.sizes[2];
        unsigned char* place = emulation::sharedMemory() + to + panelPlace(row, half) + 2 * i;
        there ? std::memcpy(place, source.from + batch * source.strides[1] + y * source.strides[0] + 2 * x, 2)
              : std::memset(place, 0, 2);
      }
}
inline void waitForBarrier(CopyBarrier&, int) {}

inline void waitForWarpgroup(int) { emulation::waitForWarpgroup(); }
inline void showToProducts() {}
template <int kCount>
void keepInPlace(float (&)[kCount]) {}
inline void beginProducts() {}
inline void endProducts() {}
inline void waitForProducts() {}

inline int uniform(int value) { return value; }
struct Panels {
  std::uint32_t address;
  int apart;

  Panels(std::uint32_t address_, int apart_) : address(address_), apart(apart_) {}
  void move(int bytes) { address += static_cast<std::uint32_t>(bytes); }
  [[nodiscard]] Panels moved(int bytes) const { return {address + static_cast<std::uint32_t>(bytes), apart}; }
};

/// Number `at` of a row of a panel. Which halves change places follows from the address, as it does in the instruction.
template <class Number>
float panelNumber(std::uint32_t panel, int row, int at) {
  const std::uint32_t address = panel + static_cast<std::uint32_t>(row * kPanelRowBytes + at / 8 * 16);
  Number number;
  std::memcpy(&number, emulation::sharedMemory() + (address ^ (address >> 7 & 1) << 4) + at % 8 * 2, 2);
  return static_cast<float>(number);
}

template <class Number, int kColumns>
void multiplyPanels(float (&sums)[kColumns / 2], const Panels& left, const Panels& right, bool add) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32 % 4);
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = warp * 16 + lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    if (!add) sums[i] = 0;
    for (int k = 0; k < 16; ++k)
      sums[i] += panelNumber<Number>(left.address, row, k) * panelNumber<Number>(right.address, column, k);
  }
}

template <class Number>
void multiplyTransposed(float (&sums)[4], const Panels& left, const Panels& right) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32 % 4);
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k)
      sums[i] += panelNumber<Number>(left.moved(warp * left.apart).address, k, row) *
                 panelNumber<Number>(right.address, column, k);
  }
}

}  // namespace kvista::tensor_core
