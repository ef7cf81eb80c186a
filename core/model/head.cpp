// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/head.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/model/decoder_layer.h"

namespace kvista {

namespace {

/// Calls `visit(rows, logProbabilities, targets, begin)` for blocks of the rows that predict something.
template <class Visit>
Result<void> eachBlock(const LinearWeights& head, const at::Tensor& hidden, const at::Tensor& ids, const Task& task,
                       Visit&& visit) {
  constexpr std::int64_t kRows = 512;
  const std::int64_t predictions = hidden.size(1) - 1;
  const at::Tensor rows = hidden.narrow(1, 0, predictions).flatten(0, 1);
  const at::Tensor targets = ids.narrow(1, 1, predictions).flatten().unsqueeze(-1);
  for (std::int64_t begin = 0; begin < rows.size(0); begin += kRows) {
    KVISTA_CHECK(task.checkStop());
    const std::int64_t count = std::min(kRows, rows.size(0) - begin);
    const at::Tensor logits = linear(rows.narrow(0, begin, count), head);
    visit(at::log_softmax(logits, -1, at::kFloat), targets.narrow(0, begin, count), begin, count);
  }
  return {};
}

}  // namespace

Result<at::Tensor> nextTokenLosses(const LinearWeights& head, const at::Tensor& hidden, const at::Tensor& ids,
                                   const Task& task) {
  const std::int64_t batch = hidden.size(0);
  const std::int64_t predictions = hidden.size(1) - 1;
  at::Tensor losses = at::empty({batch * predictions}, hidden.options().dtype(at::kFloat));
  KVISTA_CHECK(eachBlock(
      head, hidden, ids, task,
      [&](const at::Tensor& logProbabilities, const at::Tensor& targets, std::int64_t begin, std::int64_t count) {
        losses.narrow(0, begin, count).copy_(logProbabilities.gather(1, targets).squeeze(1).neg());
      }));
  return losses.view({batch, predictions});
}

Result<LossGradient> nextTokenLossGradient(const LinearWeights& head, const at::Tensor& hidden, const at::Tensor& ids,
                                           const Task& task) {
  const std::int64_t batch = hidden.size(0);
  const std::int64_t predictions = hidden.size(1) - 1;
  const std::int64_t width = hidden.size(2);
  LossGradient result;
  at::Tensor rows = at::empty({batch * predictions, width}, hidden.options());
  KVISTA_CHECK(
      eachBlock(head, hidden, ids, task,
                [&](at::Tensor logProbabilities, const at::Tensor& targets, std::int64_t begin, std::int64_t count) {
                  result.sum -= logProbabilities.gather(1, targets).sum(at::kDouble).item<double>();
                  // d loss / d logits = probabilities - indicator of the target
                  at::Tensor gradient = logProbabilities.exp_();
                  gradient.scatter_add_(1, targets, at::ones_like(targets, gradient.options()).neg_());
                  rows.narrow(0, begin, count).copy_(at::matmul(gradient.to(head.weight.scalar_type()), head.weight));
                }));
  result.gradient = at::zeros_like(hidden);
  result.gradient.narrow(1, 0, predictions).copy_(rows.view({batch, predictions, width}));
  return result;
}

}  // namespace kvista
