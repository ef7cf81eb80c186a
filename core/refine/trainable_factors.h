// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/compress/factors.h"
#include "core/distributed/process_group.h"

namespace kvista {

/// Factors as parameters of AdamW: float32 leaves on the compute device with their two moments.
class TrainableFactors {
 public:
  /// Each latent direction is scaled by a power of two, so that its row of `down` and its column of `up` are of about
  /// one norm (its quantiser step along with it): in the metric's own scale they differ by orders of magnitude, and one
  /// rate would fit neither.
  TrainableFactors(const PlanFactors& factors, at::Device device);

  /// The leaves themselves, to compute with.
  [[nodiscard]] const PlanFactors& factors() const { return factors_; }
  /// The same with the columns of `up` beyond a part of each group's rank (at least one is left) taken out.
  [[nodiscard]] PlanFactors firstDirections(double part) const;
  /// Copies on the CPU.
  [[nodiscard]] PlanFactors detached() const;

  void clearGradients();
  /// Gradients of all `processes` added up, each times its `weight`.
  Result<void> addGradients(double weight, const ProcessGroup& processes, const Task& task);
  /// One step of AdamW without decay (betas .9 and .99), gradients scaled down to `largestGradient` where their norm is
  /// larger.
  void step(double rate, double largestGradient);

  /// All numbers that a step depends on, in one order: parameters, then both moments.
  [[nodiscard]] std::vector<at::Tensor*> state();
  void setStepsDone(int steps);

 private:
  PlanFactors factors_;
  std::vector<at::Tensor> parameters_, first_, second_, stepsDone_;
};

}  // namespace kvista
