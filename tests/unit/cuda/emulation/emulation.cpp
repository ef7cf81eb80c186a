// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>
#include <ucontext.h>

#include <memory>
#include <vector>

#include "core/cuda/tensor_core.cuh"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace kvista::emulation {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

enum class State { running, atWarp, atWarpgroup, atBlock, done };

struct Thread {
  ucontext_t context{};
  std::unique_ptr<char[]> stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
  dim3 index;
  State state = State::running;
  int published = 0;
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Place> places;  // [warps][2][32]
  std::vector<std::uint32_t> shared;
  ucontext_t scheduler{};
  Thread* current = nullptr;
  const std::function<void()>* kernel = nullptr;
};
Block* block = nullptr;

void enter() {
  (*block->kernel)();
  block->current->state = State::done;
  swapcontext(&block->current->context, &block->scheduler);
}

void pause(State state) {
  Thread& thread = *block->current;
  thread.state = state;
  swapcontext(&thread.context, &block->scheduler);
}

void resume(Thread& thread) {
  block->current = &thread;
  threadIdx = thread.index;
  thread.state = State::running;
  swapcontext(&block->scheduler, &thread.context);
}

/// Until every thread of the warp waits for the block or its warpgroup or is done; false if that cannot be.
bool runWarp(std::size_t first, std::size_t end) {
  for (;;) {
    std::size_t atWarp = 0;
    for (std::size_t i = first; i < end; ++i) {
      Thread& thread = block->threads[i];
      if (thread.state == State::running) resume(thread);
      atWarp += thread.state == State::atWarp;
    }
    if (atWarp == 0) return true;
    if (atWarp != end - first) return false;
    for (std::size_t i = first; i < end; ++i) block->threads[i].state = State::running;
  }
}

/// Whether threads of a warpgroup go on, as all of it were waiting for it.
bool releaseWarpgroups() {
  constexpr std::size_t kThreads = 128;
  bool released = false;
  for (std::size_t first = 0; first + kThreads <= block->threads.size(); first += kThreads) {
    const auto begin = block->threads.begin() + static_cast<std::ptrdiff_t>(first), end = begin + kThreads;
    if (!std::all_of(begin, end, [](const Thread& thread) { return thread.state == State::atWarpgroup; })) continue;
    std::for_each(begin, end, [](Thread& thread) { thread.state = State::running; });
    released = true;
  }
  return released;
}

bool runBlock() {
  for (;;) {
    for (std::size_t first = 0; first < block->threads.size(); first += 32)
      if (!runWarp(first, std::min(first + 32, block->threads.size()))) return false;
    if (releaseWarpgroups()) continue;
    std::size_t done = 0, waiting = 0;
    for (const Thread& thread : block->threads) {
      done += thread.state == State::done;
      waiting += thread.state == State::atBlock;
    }
    if (done == block->threads.size()) return true;
    if (waiting != block->threads.size()) return false;
    for (Thread& thread : block->threads) thread.state = State::running;
  }
}

}  // namespace

bool runGrid(dim3 grid, dim3 threads, std::size_t sharedBytes, const std::function<void()>& kernel) {
  Block here;
  block = &here;
  gridDim = grid;
  blockDim = threads;
  here.kernel = &kernel;
  here.threads.resize(threads.x);
  here.places.resize((threads.x + 31) / 32 * 64);
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
        // What nobody has written is no number, so that a kernel that reads it does not pass.
        here.shared.assign(sharedBytes / 4 + 4, 0x7FC07FC0U);
        for (unsigned i = 0; i < threads.x; ++i) {
          Thread& thread = here.threads[i];
          thread.index = dim3(i, 0, 0);
          thread.state = State::running;
          thread.published = 0;
          getcontext(&thread.context);
          thread.context.uc_stack.ss_sp = thread.stack.get();
          thread.context.uc_stack.ss_size = kStackBytes;
          makecontext(&thread.context, enter, 0);
        }
        if (!runBlock()) return false;
      }
  return true;
}

unsigned char* sharedMemory() {
  const auto address = reinterpret_cast<std::uintptr_t>(block->shared.data());
  return reinterpret_cast<unsigned char*>((address + 15) / 16 * 16);
}
void waitForBlock() { pause(State::atBlock); }
void waitForWarp() { pause(State::atWarp); }
void waitForWarpgroup() { pause(State::atWarpgroup); }

const Place* publish(const std::function<void(Place&)>& write) {
  const unsigned thread = threadIdx.x;
  Place* places = &block->places[thread / 32 * 64 + static_cast<std::size_t>(block->current->published++ % 2) * 32];
  write(places[thread % 32]);
  waitForWarp();
  return places;
}

}  // namespace kvista::emulation

using kvista::emulation::Place;
using kvista::emulation::publish;

namespace {
const Place* publishFloat(float value) {
  return publish([&](Place& place) { place.words[0] = std::bit_cast<std::uint32_t>(value); });
}
}  // namespace

float __shfl_sync(unsigned, float value, int lane) {
  return std::bit_cast<float>(publishFloat(value)[lane % 32].words[0]);
}
float __shfl_xor_sync(unsigned, float value, int distance) {
  const Place* lanes = publishFloat(value);
  return std::bit_cast<float>(lanes[threadIdx.x % 32 ^ static_cast<unsigned>(distance)].words[0]);
}
bool __any_sync(unsigned, bool value) {
  const Place* lanes = publishFloat(value ? 1.0f : 0.0f);
  return std::any_of(lanes, lanes + 32, [](const Place& place) { return place.words[0] != 0; });
}

namespace kvista::tensor_core {
namespace {

/// Entry (row, column) of matrix `which`, of whose rows the lanes gave the addresses.
std::uint16_t entry(const Place* lanes, int which, int row, int column) {
  std::uint16_t number = 0;
  std::memcpy(&number, emulation::sharedMemory() + lanes[which * 8 + row].words[0] + 2 * column, 2);
  return number;
}

}  // namespace

void loadMatrices(std::uint32_t (&to)[4], std::uint32_t row) {
  const Place* lanes = publish([&](Place& place) { place.words[0] = row; });
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int i = 0; i < 4; ++i)
    to[i] = entry(lanes, i, lane / 4, lane % 4 * 2) |
            static_cast<std::uint32_t>(entry(lanes, i, lane / 4, lane % 4 * 2 + 1)) << 16;
}
void loadMatricesTransposed(std::uint32_t (&to)[4], std::uint32_t row) {
  const Place* lanes = publish([&](Place& place) { place.words[0] = row; });
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int i = 0; i < 4; ++i)
    to[i] = entry(lanes, i, lane % 4 * 2, lane / 4) |
            static_cast<std::uint32_t>(entry(lanes, i, lane % 4 * 2 + 1, lane / 4)) << 16;
}

}  // namespace kvista::tensor_core
