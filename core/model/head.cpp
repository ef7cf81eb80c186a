// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/model/operators.h"

namespace kvista {

at::Tensor Head::logits(const at::Tensor& input) const {
  at::Tensor logits = kvista::linear(input, linear);
  if (multiplier != 1) logits = logits * multiplier;
  return cap > 0 ? (logits / cap).tanh() * cap : logits;
}

at::Tensor Head::back(const at::Tensor& gradient, const at::Tensor& logits) const {
  at::Tensor inside = gradient;
  if (cap > 0) inside = inside * (1 - (logits / cap).square());
  if (multiplier != 1) inside = inside * multiplier;
  return at::matmul(inside.to(linear.weight.scalar_type()), linear.weight);
}

namespace {

/// Calls `visit(logits, targets, begin, count)` for blocks of the rows that predict something.
template <class Visit>
Result<void> eachBlock(const Head& head, const at::Tensor& hidden, const at::Tensor& ids, const Task& task,
                       Visit&& visit) {
  constexpr std::int64_t kRows = 512;
  const std::int64_t predictions = hidden.size(1) - 1;
  const at::Tensor rows = hidden.narrow(1, 0, predictions).flatten(0, 1);
  const at::Tensor targets = ids.narrow(1, 1, predictions).flatten().unsqueeze(-1);
  for (std::int64_t begin = 0; begin < rows.size(0); begin += kRows) {
    KVISTA_CHECK(task.checkStop());
    const std::int64_t count = std::min(kRows, rows.size(0) - begin);
    visit(head.logits(rows.narrow(0, begin, count)), targets.narrow(0, begin, count), begin, count);
  }
  return {};
}

}  // namespace

Result<at::Tensor> nextTokenLosses(const Head& head, const at::Tensor& hidden, const at::Tensor& ids,
                                   const Task& task) {
  const std::int64_t batch = hidden.size(0);
  const std::int64_t predictions = hidden.size(1) - 1;
  at::Tensor losses = at::empty({batch * predictions}, hidden.options().dtype(at::kFloat));
  KVISTA_CHECK(
      eachBlock(head, hidden, ids, task,
                [&](const at::Tensor& logits, const at::Tensor& targets, std::int64_t begin, std::int64_t count) {
                  losses.narrow(0, begin, count)
                      .copy_(at::log_softmax(logits, -1, at::kFloat).gather(1, targets).squeeze(1).neg());
                }));
  return losses.view({batch, predictions});
}

Result<LossGradient> nextTokenLossGradient(const Head& head, const at::Tensor& hidden, const at::Tensor& ids,
                                           const Task& task) {
  const std::int64_t batch = hidden.size(0);
  const std::int64_t predictions = hidden.size(1) - 1;
  const std::int64_t width = hidden.size(2);
  LossGradient result;
  at::Tensor rows = at::empty({batch * predictions, width}, hidden.options());
  KVISTA_CHECK(
      eachBlock(head, hidden, ids, task,
                [&](const at::Tensor& logits, const at::Tensor& targets, std::int64_t begin, std::int64_t count) {
                  at::Tensor logProbabilities = at::log_softmax(logits, -1, at::kFloat);
                  result.sum -= logProbabilities.gather(1, targets).sum(at::kDouble).item<double>();
                  // d loss / d logits = probabilities - indicator of the target
                  at::Tensor gradient = logProbabilities.exp_();
                  gradient.scatter_add_(1, targets, at::ones_like(targets, gradient.options()).neg_());
                  rows.narrow(0, begin, count).copy_(head.back(gradient, logits));
                }));
  result.gradient = at::zeros_like(hidden);
  result.gradient.narrow(1, 0, predictions).copy_(rows.view({batch, predictions, width}));
  return result;
}

namespace {

/// Calls `visit(teacher's log probabilities, student's, student's logits, begin, count)` for blocks of all rows.
template <class Visit>
Result<void> eachPairOfBlocks(const Head& head, const at::Tensor& teacher, const at::Tensor& student, const Task& task,
                              Visit&& visit) {
  // A GPU is busy only with many rows at once; the logits of a block stay under 2 GB all the same.
  const std::int64_t rowsAtOnce =
      student.is_cpu() ? 512 : std::max<std::int64_t>(512, (std::int64_t{1} << 28) / head.linear.weight.size(0));
  const at::Tensor teacherRows = teacher.flatten(0, 1);
  const at::Tensor studentRows = student.flatten(0, 1);
  for (std::int64_t begin = 0; begin < studentRows.size(0); begin += rowsAtOnce) {
    KVISTA_CHECK(task.checkStop());
    const std::int64_t count = std::min(rowsAtOnce, studentRows.size(0) - begin);
    const at::Tensor wanted = at::log_softmax(head.logits(teacherRows.narrow(0, begin, count)), -1, at::kFloat);
    const at::Tensor given = head.logits(studentRows.narrow(0, begin, count));
    visit(wanted, at::log_softmax(given, -1, at::kFloat), given, begin, count);
  }
  return {};
}

}  // namespace

Result<LossGradient> divergenceGradient(const Head& head, const at::Tensor& teacher, const at::Tensor& student,
                                        const Task& task) {
  LossGradient result;
  const std::int64_t rows = student.size(0) * student.size(1);
  const double each = 1.0 / static_cast<double>(rows);
  // Stays on the device: asking for it waits for all before.
  at::Tensor sum = at::zeros({}, student.options().dtype(at::kDouble));
  result.gradient = at::empty({rows, student.size(2)}, student.options());
  KVISTA_CHECK(eachPairOfBlocks(head, teacher, student, task,
                                [&](const at::Tensor& wanted, at::Tensor given, const at::Tensor& logits,
                                    std::int64_t begin, std::int64_t count) {
                                  const at::Tensor probabilities = wanted.exp();
                                  sum += at::mul(probabilities, wanted - given).sum(at::kDouble);
                                  // d KL / d logits = student's probabilities - teacher's
                                  const at::Tensor gradient = given.exp_().sub_(probabilities).mul_(each);
                                  result.gradient.narrow(0, begin, count).copy_(head.back(gradient, logits));
                                }));
  result.gradient = result.gradient.view(student.sizes());
  result.sum = sum.item<double>() * each;
  return result;
}

Result<double> divergence(const Head& head, const at::Tensor& teacher, const at::Tensor& student, const Task& task) {
  double sum = 0;
  KVISTA_CHECK(eachPairOfBlocks(
      head, teacher, student, task,
      [&](const at::Tensor& wanted, const at::Tensor& given, const at::Tensor&, std::int64_t, std::int64_t) {
        sum += at::mul(wanted.exp(), wanted - given).sum(at::kDouble).item<double>();
      }));
  return sum / static_cast<double>(student.size(0) * student.size(1));
}

}  // namespace kvista
