// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/launch.h"
#include "core/base/task.h"

namespace kvista {

/// Consecutive things out of many.
struct Share {
  std::int64_t begin = 0, count = 0;
  [[nodiscard]] std::int64_t end() const { return begin + count; }
  [[nodiscard]] bool contains(std::int64_t index) const { return index >= begin && index < end(); }
};

/// The processes that share one piece of work, seen from one of them (c10d: Gloo for memory of the CPU, NCCL for that
/// of GPUs). A handle; the default one is alone, and everything below then costs nothing. All members call the same
/// functions in the same order. A member that is gone makes every call of the others fail (device) with a sentence that
/// names it.
class ProcessGroup {
 public:
  ProcessGroup() = default;
  /// Returns once all processes of `launch` are there; the group of one where there are no others. `device`: where this
  /// process computes.
  static Result<ProcessGroup> join(const Launch& launch, at::Device device,
                                   std::chrono::seconds patience = std::chrono::minutes(5));

  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;
  [[nodiscard]] bool isAlone() const { return !member_; }
  /// Whether this is the member that writes files and speaks.
  [[nodiscard]] bool isFirst() const { return rank() == 0; }
  /// What sums over GPUs go through, for people: "NCCL", or "Gloo".
  [[nodiscard]] std::string_view transport() const;
  /// " (rank 0 of 3)", for whatever counts this member's work alone; empty where it is alone.
  [[nodiscard]] std::string label() const;

  /// This member's part of `count` things, in whole blocks of `block`, of which the last may be cut; parts follow each
  /// other by rank and differ by one block at most.
  [[nodiscard]] Share shareOf(std::int64_t count, std::int64_t block = 1) const {
    return shareOf(rank(), count, block);
  }
  [[nodiscard]] Share shareOf(int rank, std::int64_t count, std::int64_t block = 1) const;

  /// Fails where a member is gone. Costs next to nothing.
  [[nodiscard]] Result<void> check() const;
  /// Waits for all; `meanwhile` is called a few times a second.
  Result<void> meet(const Task& task, const std::function<Result<void>()>& meanwhile = {}) const;
  /// Replaces `tensor` (contiguous, of one shape and type on all members) by the sum over members, the same bits on
  /// each.
  Result<void> sum(const at::Tensor& tensor, const Task& task) const;
  /// Replaces `tensor` by that of member `from`.
  Result<void> broadcast(const at::Tensor& tensor, int from, const Task& task) const;
  /// Rows of all members by rank, on the CPU: [n_i, ...] to [sum n_i, ...].
  Result<at::Tensor> gatherRows(const at::Tensor& rows, const Task& task) const;
  /// The texts of all members by rank; bytes are taken as they are.
  Result<std::vector<std::string>> gatherTexts(std::string_view text, const Task& task) const;
  /// Refuses (invalidArgument, naming the ranks) where members have different texts: `what` begins the sentence
  /// ("The model and its options").
  Result<void> agree(std::string_view what, std::string_view text, const Task& task) const;

 private:
  friend class Turns;
  struct Member;
  std::shared_ptr<Member> member_;
};

/// Numbers of things to do, from 0 on, each given to one member of a group, whoever asks next: for work whose pieces
/// take so different times that equal shares would leave members idle.
class Turns {
 public:
  /// `name`: the same on all members, and no other's of the group.
  Turns(ProcessGroup group, std::string name) : group_(std::move(group)), name_(std::move(name)) {}
  /// Error (device): a member is gone.
  Result<std::size_t> next();

 private:
  ProcessGroup group_;
  std::string name_;
  std::size_t alone_ = 0;
};

}  // namespace kvista
