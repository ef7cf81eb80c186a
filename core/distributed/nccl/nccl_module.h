// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

/// What libkvista_nccl.so answers: c10d's NCCL backend of one process, for the caller to own. It is a library of its
/// own, loaded on first use, because it needs libtorch's CUDA part, which machines without a GPU do without.
extern "C" c10d::Backend* kvistaNccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, int device);
