// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/distributed/process_group.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "core/distributed/backends.h"
#include "core/distributed/membership.h"

namespace kvista {
namespace {

using Clock = std::chrono::steady_clock;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

constexpr auto kShortestWait = std::chrono::microseconds(50), kLongestWait = std::chrono::microseconds(2000);
/// One that leaves once its work is done may be heard of before the last of it has arrived here.
constexpr auto kLastWords = std::chrono::seconds(3);
constexpr auto kMeanwhileEvery = std::chrono::milliseconds(100);

}  // namespace

struct ProcessGroup::Member {
  Launch launch;
  std::unique_ptr<Membership> membership;
  c10::intrusive_ptr<c10d::Backend> gloo, nccl;  ///< The latter null without GPUs, or without NCCL.
  bool broken = false;

  Member(Launch started, std::unique_ptr<Membership> joined)
      : launch(std::move(started)), membership(std::move(joined)) {}
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() {
    membership->leave();
    try {
      if (nccl && broken) nccl->abort();
      if (nccl && !broken) nccl->shutdown();
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the process ends anyway
    }
    if (!broken) return;
    // Their threads wait for members that will not answer, and destructors for those threads.
    static_cast<void>(gloo.release());
    static_cast<void>(nccl.release());
  }

  template <class Start>
  Result<void> run(c10d::Backend& backend, Start&& start, const Task& task,
                   const std::function<Result<void>()>& meanwhile = {}) {
    KVISTA_CHECK(membership->check());
    auto result = wait(backend, start, task, meanwhile);
    broken = broken || !result;
    return result;
  }

 private:
  template <class Start>
  Result<void> wait(c10d::Backend& backend, Start& start, const Task& task,
                    const std::function<Result<void>()>& meanwhile) {
    try {
      const WorkPointer work = start(backend);
      auto pause = kShortestWait;
      std::optional<Clock::time_point> missed;
      for (auto last = Clock::now(); !work->isCompleted(); pause = std::min(2 * pause, kLongestWait)) {
        KVISTA_CHECK(task.checkStop());
        if (const auto all = membership->check(); !all) {
          if (!missed) missed = Clock::now();
          if (Clock::now() - *missed > kLastWords) return all;
        }
        if (meanwhile && Clock::now() - last > kMeanwhileEvery) {
          KVISTA_CHECK(meanwhile());
          last = Clock::now();
        }
        std::this_thread::sleep_for(pause);
      }
      work->wait();
      return {};
    } catch (const c10::Error& error) {
      return membership->explain(error.what_without_backtrace());
    } catch (const std::exception& error) {
      return membership->explain(error.what());
    }
  }
};

Result<ProcessGroup> ProcessGroup::join(const Launch& launch, at::Device device, std::chrono::seconds patience) {
  ProcessGroup group;
  if (launch.size == 1) return group;
  KVISTA_ASSIGN(auto membership, Membership::join(launch, patience));
  auto member = std::make_shared<Member>(launch, std::move(membership));
  try {
    member->gloo = makeGloo(member->membership->store(), launch.rank, launch.size, launch.address);
    if (!device.is_cpu())
      member->nccl = makeNccl(member->membership->store(), launch.rank, launch.size, device.index());
  } catch (const std::exception& error) {
    member->broken = true;
    return tl::unexpected(member->membership->explain(error.what()).error());
  }
  group.member_ = std::move(member);
  return group;
}

int ProcessGroup::rank() const { return member_ ? member_->launch.rank : 0; }
int ProcessGroup::size() const { return member_ ? member_->launch.size : 1; }
std::string_view ProcessGroup::transport() const { return member_ && member_->nccl ? "NCCL" : "Gloo"; }
std::string ProcessGroup::label() const { return member_ ? fmt::format(" (rank {} of {})", rank(), size()) : ""; }

Share ProcessGroup::shareOf(int rank, std::int64_t count, std::int64_t block) const {
  const std::int64_t blocks = (count + block - 1) / block;
  const std::int64_t begin = std::min(count, blocks * rank / size() * block);
  return {begin, std::min(count, blocks * (rank + 1) / size() * block) - begin};
}

Result<void> ProcessGroup::check() const {
  if (!member_) return {};
  return member_->membership->check();
}

Result<void> ProcessGroup::meet(const Task& task, const std::function<Result<void>()>& meanwhile) const {
  if (!member_) return {};
  std::vector<at::Tensor> one = {at::zeros({1}, at::kDouble)};
  return member_->run(
      *member_->gloo, [&](c10d::Backend& backend) { return backend.allreduce(one); }, task, meanwhile);
}

Result<void> ProcessGroup::sum(const at::Tensor& tensor, const Task& task) const {
  if (!member_ || tensor.numel() == 0) return {};
  const bool direct = tensor.is_cpu() || member_->nccl;
  std::vector<at::Tensor> list = {direct ? tensor : tensor.cpu()};
  c10d::Backend& backend = tensor.is_cpu() || !member_->nccl ? *member_->gloo : *member_->nccl;
  KVISTA_CHECK(member_->run(
      backend, [&](c10d::Backend& chosen) { return chosen.allreduce(list); }, task));
  if (!direct) tensor.copy_(list.front());
  return {};
}

Result<void> ProcessGroup::broadcast(const at::Tensor& tensor, int from, const Task& task) const {
  if (!member_ || tensor.numel() == 0) return {};
  // As bytes: Gloo does not know every type of number.
  const at::Tensor copy = tensor.cpu().contiguous();
  std::vector<at::Tensor> list = {copy.view({-1}).view(at::kByte)};
  c10d::BroadcastOptions options;
  options.rootRank = from;
  KVISTA_CHECK(member_->run(
      *member_->gloo, [&](c10d::Backend& backend) { return backend.broadcast(list, options); }, task));
  if (copy.const_data_ptr() != tensor.const_data_ptr()) tensor.copy_(copy);
  return {};
}

Result<at::Tensor> ProcessGroup::gatherRows(const at::Tensor& rows, const Task& task) const {
  if (!member_) return rows.cpu();
  const at::Tensor counts = at::zeros({size()}, at::kLong);
  counts[rank()].fill_(rows.size(0));
  KVISTA_CHECK(sum(counts, task));
  std::vector<at::Tensor> parts;
  for (int from = 0; from < size(); ++from) {
    std::vector<std::int64_t> sizes = rows.sizes().vec();
    sizes.front() = counts[from].item<std::int64_t>();
    parts.push_back(from == rank() ? rows.cpu().contiguous() : at::empty(sizes, rows.options().device(at::kCPU)));
    KVISTA_CHECK(broadcast(parts.back(), from, task));
  }
  return at::cat(parts);
}

Result<std::vector<std::string>> ProcessGroup::gatherTexts(std::string_view text, const Task& task) const {
  if (!member_) return std::vector<std::string>{std::string(text)};
  const at::Tensor counts = at::zeros({size()}, at::kLong);
  counts[rank()].fill_(static_cast<std::int64_t>(text.size()));
  KVISTA_CHECK(sum(counts, task));
  std::vector<std::string> texts;
  for (int from = 0; from < size(); ++from) {
    const at::Tensor bytes = at::empty({counts[from].item<std::int64_t>()}, at::kByte);
    if (from == rank()) std::memcpy(bytes.data_ptr(), text.data(), text.size());
    KVISTA_CHECK(broadcast(bytes, from, task));
    texts.emplace_back(static_cast<const char*>(bytes.const_data_ptr()), static_cast<std::size_t>(bytes.numel()));
  }
  return texts;
}

Result<void> ProcessGroup::agree(std::string_view what, std::string_view text, const Task& task) const {
  KVISTA_ASSIGN(const std::vector<std::string> texts, gatherTexts(text, task));
  for (std::size_t other = 1; other < texts.size(); ++other)
    if (texts[other] != texts.front())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{} must be the same for all processes, but rank 0 has \"{}\" and rank {} has \"{}\".",
                              what, texts.front(), other, texts[other]),
                  "Start all processes with the same command and the same files.");
  return {};
}

Result<std::size_t> Turns::next() {
  if (group_.isAlone()) return alone_++;
  const ProcessGroup::Member& member = *group_.member_;
  KVISTA_CHECK(member.membership->check());
  try {
    return static_cast<std::size_t>(member.membership->store()->add("turns/" + name_, 1) - 1);
  } catch (const std::exception& error) {
    return tl::unexpected(member.membership->explain(error.what()).error());
  }
}

}  // namespace kvista
