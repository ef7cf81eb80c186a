// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/refine/trainable_factors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace kvista {

TrainableFactors::TrainableFactors(const PlanFactors& factors, at::Device device) : factors_(factors) {
  const auto leaf = [&](const at::Tensor& values) {
    const at::Tensor parameter = values.to(device, at::kFloat).contiguous().clone().set_requires_grad(true);
    parameters_.push_back(parameter);
    first_.push_back(at::zeros_like(values, values.options().device(device).dtype(at::kFloat)));
    second_.push_back(at::zeros_like(first_.back()));
    stepsDone_.push_back(at::zeros({}, first_.back().options()));
    return parameter;
  };
  for (GroupFactors& group : factors_) {
    if (group.isIdentity()) continue;
    const at::Tensor ofUp = at::linalg_vector_norm(group.up, 2, at::IntArrayRef{0});      // [r]
    const at::Tensor ofDown = at::linalg_vector_norm(group.down, 2, at::IntArrayRef{1});  // [r]
    // Powers of two: scaling then rounds nothing, and every number falls into the code it fell into before.
    const at::Tensor scale = (ofUp / ofDown.clamp_min(1e-30)).log2().div(2).round().clamp(-40, 40).exp2();
    group.up = leaf(group.up / scale);
    group.down = leaf(group.down * scale.unsqueeze(1));
    group.steps = (group.steps * scale).to(device);
    if (!group.shift.defined()) continue;
    group.shift = (group.shift * scale).to(device);  // means stay as they were found
    group.offset = group.offset.to(device);
  }
}

PlanFactors TrainableFactors::firstDirections(double part) const {
  PlanFactors first = factors_;
  for (GroupFactors& group : first) {
    if (group.isIdentity()) continue;
    const std::int64_t rank = group.up.size(1);
    const auto kept = std::max<std::int64_t>(1, std::llround(part * static_cast<double>(rank)));
    group.up = group.up * at::arange(rank, group.up.options()).lt(kept).to(at::kFloat);
  }
  return first;
}

PlanFactors TrainableFactors::detached() const {
  PlanFactors copies = factors_;
  for (GroupFactors& group : copies) {
    if (group.isIdentity()) continue;
    group.up = group.up.detach().cpu().clone();
    group.down = group.down.detach().cpu().clone();
    for (at::Tensor* tensor : {&group.steps, &group.shift, &group.offset})
      if (tensor->defined()) *tensor = tensor->cpu();
  }
  return copies;
}

void TrainableFactors::clearGradients() {
  for (const at::Tensor& parameter : parameters_) parameter.mutable_grad().reset();
}

Result<void> TrainableFactors::addGradients(double weight, const ProcessGroup& processes, const Task& task) {
  if (processes.isAlone()) return {};
  const c10::NoGradGuard noGrad;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& parameter : parameters_)
    flat.push_back((parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter)).flatten());
  const at::Tensor all = at::cat(flat).mul_(weight);
  KVISTA_CHECK(processes.sum(all, task));
  std::int64_t begin = 0;
  for (const at::Tensor& parameter : parameters_) {
    parameter.mutable_grad() = all.narrow(0, begin, parameter.numel()).view(parameter.sizes());
    begin += parameter.numel();
  }
  return {};
}

void TrainableFactors::step(double rate, double largestGradient) {
  const c10::NoGradGuard noGrad;
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : parameters_)
    gradients.push_back(parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter));
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
  at::_foreach_mul_(gradients, (largestGradient / (norm + 1e-12)).clamp_max(1.0));
  for (const at::Tensor& done : stepsDone_) done.add_(1);
  at::_fused_adamw_(parameters_, gradients, first_, second_, {}, stepsDone_, rate, 0.9, 0.99, 0.0, 1e-8, false, false);
}

std::vector<at::Tensor*> TrainableFactors::state() {
  std::vector<at::Tensor*> all;
  for (auto* tensors : {&parameters_, &first_, &second_})
    for (at::Tensor& tensor : *tensors) all.push_back(&tensor);
  return all;
}

void TrainableFactors::setStepsDone(int steps) {
  for (const at::Tensor& done : stepsDone_) done.fill_(steps);
}

}  // namespace kvista
