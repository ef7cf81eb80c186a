// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/under_policy.h"

#include <ATen/ops/cat.h>

#include "core/policy/named_policies.h"

namespace kvista {

Result<PolicyUse> policyOver(const PlanTransform* stored, PolicyRequest request) {
  KVISTA_ASSIGN(const NamedPolicies named, policiesNamed(request.policy));
  if (stored != nullptr &&
      (!named.goesWith(stored->plan()) || std::ranges::all_of(stored->plan().groups, &Group::isUncompressed)))
    stored = nullptr;
  return PolicyUse{std::move(request), stored};
}

Result<PolicyReading> PolicyReading::begin(const Decoder& decoder, const PolicyUse& policy, std::int64_t prompt,
                                           std::int64_t most, std::int64_t sequenceLength) {
  const std::int64_t interval = policy.request.interval;
  KVISTA_ASSIGN(PolicyRun run, PolicyRun::begin(decoder, policy.plan, policy.request, interval > 0 ? most : prompt));
  PolicyReading reading(std::move(run), prompt, interval, most);
  reading.live_.sequenceLength = sequenceLength;
  return reading;
}

Result<at::Tensor> PolicyReading::read(const at::Tensor& ids, std::int64_t wanted, const Task& task) {
  constexpr std::int64_t kPart = 256;  // attention to places takes memory by tokens times places
  const std::int64_t count = ids.size(1);
  std::vector<at::Tensor> hidden;
  for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
    end = std::min(begin + kPart, count);
    if (next_ > live_.tokens) end = std::min(end, begin + next_ - live_.tokens);
    const at::Tensor part = ids.narrow(1, begin, end - begin);
    KVISTA_ASSIGN(at::Tensor read, run_.read(part, live_, task));
    if (end > count - wanted) hidden.push_back(std::move(read));
    read_.push_back(part);
    if (live_.tokens != next_ || next_ == most_) continue;
    read_ = {at::cat(read_, 1)};
    KVISTA_CHECK(run_.act(live_, read_.front(), task));
    next_ = interval_ > 0 ? next_ + interval_ : 0;
  }
  const at::Tensor all = hidden.size() == 1 ? hidden.front() : at::cat(hidden, 1);
  return all.narrow(1, all.size(1) - wanted, wanted);
}

Result<at::Tensor> readUnderPolicy(const Decoder& decoder, const PolicyUse& policy, const at::Tensor& ids,
                                   std::int64_t prompt, std::int64_t wanted, const Task& task) {
  KVISTA_ASSIGN(PolicyReading reading, PolicyReading::begin(decoder, policy, prompt, ids.size(1), ids.size(1)));
  return reading.read(ids, wanted, task);
}

}  // namespace kvista
