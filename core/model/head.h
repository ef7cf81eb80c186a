// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/weights.h"

namespace kvista {

/// The language-model head: from its input [..., width] to logits [..., vocabulary].
struct Head {
  LinearWeights linear;
  double multiplier = 1;
  double cap = 0;  ///< Logits u become cap tanh(u / cap); 0: they stay.

  [[nodiscard]] at::Tensor logits(const at::Tensor& input) const;
  /// d / d input of something whose gradient at `logits` [rows, vocabulary], which this head answered, is `gradient`.
  [[nodiscard]] at::Tensor back(const at::Tensor& gradient, const at::Tensor& logits) const;
};

/// Negative log-likelihood of each next token, float32 [b, n-1], from the head's input `hidden` [b, n, hiddenSize] and
/// `ids` [b, n]. Rows go through the head in blocks, so that the logits never exist whole.
Result<at::Tensor> nextTokenLosses(const Head& head, const at::Tensor& hidden, const at::Tensor& ids, const Task& task);

struct LossGradient {
  double sum = 0;       ///< Sum of the token losses, or what the function says.
  at::Tensor gradient;  ///< d sum / d hidden, as `hidden`.
};

/// The sum of the token losses and its gradient at the head's input, in blocks as above.
Result<LossGradient> nextTokenLossGradient(const Head& head, const at::Tensor& hidden, const at::Tensor& ids,
                                           const Task& task);

/// Mean over all rows of KL(softmax(teacher's logits) || softmax(student's logits)), nats, and its gradient at the
/// student's head input; `teacher` and `student` are head inputs [b, n, hiddenSize].
Result<LossGradient> divergenceGradient(const Head& head, const at::Tensor& teacher, const at::Tensor& student,
                                        const Task& task);
/// The same number alone.
Result<double> divergence(const Head& head, const at::Tensor& teacher, const at::Tensor& student, const Task& task);

}  // namespace kvista
