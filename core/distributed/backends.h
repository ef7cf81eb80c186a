// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace kvista {

/// Gloo over TCP: for memory of the CPU. `address`: where all meet; a loopback address keeps all of it on this host.
/// GLOO_SOCKET_IFNAME chooses the network, as everywhere with torch. Throws what c10d throws.
c10::intrusive_ptr<c10d::Backend> makeGloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           const std::string& address);

/// NCCL for the memory of GPU `device`; null where it was not built or libtorch has none. Throws what c10d throws.
c10::intrusive_ptr<c10d::Backend> makeNccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                           int device);

}  // namespace kvista
