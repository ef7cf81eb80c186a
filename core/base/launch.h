// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/error.h"

namespace kvista {

/// How this process was started: alone, or as one of several that share their work.
struct Launch {
  int rank = 0;                  ///< Its number among all, from 0.
  int size = 1;                  ///< How many there are.
  std::optional<int> localRank;  ///< Its number among those of its host: chooses the GPU. Absent: not known.
  /// How many are on its host. Absent: not known, or the starter leaves each the cores that it may use.
  std::optional<int> localSize;
  std::string starter;     ///< "torchrun", "MPI", "Slurm"; empty where nothing said that there are others.
  std::string address;     ///< Of the host where all meet, and
  std::uint16_t port = 0;  ///< its port; only where size > 1.
  /// The meeting point is served by the starter (torchrun's agent) instead of by rank 0.
  bool starterKeepsStore = false;
  /// Differs between restarts that meet at one starter's store, and between jobs that torchrun names.
  std::string attempt = "0";

  [[nodiscard]] bool isFirst() const { return rank == 0; }
};

/// The value of an environment variable, absent where it is not set.
using Variables = std::function<std::optional<std::string>(const char*)>;
std::optional<std::string> environmentVariable(const char* name);

/// Reads what torchrun (RANK, WORLD_SIZE), MPI (OMPI_COMM_WORLD_RANK or PMI_RANK) or Slurm (SLURM_PROCID), in this
/// order, have put into the environment. Slurm's variables count only within `srun`, or where MASTER_ADDR is set: a
/// batch script has them too, and is one process. Errors: invalidArgument, naming the variable that is missing or
/// wrong.
Result<Launch> readLaunch(const Variables& variables = environmentVariable);

}  // namespace kvista
