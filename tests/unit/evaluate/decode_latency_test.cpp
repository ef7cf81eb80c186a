// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/decode_latency.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/plan/plan_groups.h"
#include "tests/unit/demo_model.h"

namespace kvista::test {
namespace {

/// What a device of this profile would have measured: groups of `heads` at a rank, times by the cost model itself.
DecodeLatency measuredBy(const DeviceProfile& device, const DecodeRequest& request) {
  DecodeLatency latency;
  latency.device = device.name;
  const ModelShape shape{.family = "llama",
                         .layers = 1,
                         .queryHeads = request.heads * request.queriesPerHead,
                         .kvHeads = request.heads,
                         .headDim = request.width,
                         .valueHeadDim = request.width,
                         .hiddenSize = 64,
                         .vocabulary = 10};
  for (const DecodeRequest::Case& size : request.cases) {
    DecodeCase measured{.batch = size.batch,
                        .context = size.context,
                        .fullBytes = size.batch * size.context * shape.cacheBytesPerToken(),
                        .fullSeconds = 0,
                        .rows = {}};
    for (const int together : {4, 2, 1}) {
      const std::int64_t rank = 38 * together;
      CompressionPlan plan;
      plan.storage = Storage::lowRank16;
      HeadGroups heads;
      for (int head = 0; head < request.heads; ++head) {
        if (head % together == 0) heads.emplace_back();
        heads.back().push_back(head);
      }
      plan.groups = groupsOf(shape, 0, heads, heads);
      for (Group& group : plan.groups)
        for (std::size_t i = 0; i < group.widths.size(); ++i)
          group.widths[i] = static_cast<std::int64_t>(i) < rank ? 16 : 0;
      const CostModel cost = costOf(plan, shape, device, size.context, static_cast<int>(size.batch));
      measured.fullSeconds = cost.fullSecondsPerToken;
      measured.rows.push_back({.name = "",
                               .headsPerGroup = together,
                               .rebuildsKeys = true,
                               .keyRank = rank,
                               .valueRank = rank,
                               .bytes = 1,
                               .seconds = cost.secondsPerToken,
                               .byKernel = true,
                               .reason = {}});
    }
    latency.cases.push_back(std::move(measured));
  }
  return latency;
}

TEST(DecodeLatency, TheCostModelsConstantsComeBackFromWhatItPredicts) {
  DecodeRequest request{.queriesPerHead = 2, .cases = {{8, 65536}, {1, 4096}, {1, 16384}}};
  const DeviceProfile device{"test", 4e12, 5e14, 1.2e-5};
  const DeviceProfile fitted = valueOf(fittedProfile(request, measuredBy(device, request)));
  EXPECT_EQ(fitted.name, "test");
  EXPECT_NEAR(fitted.bytesPerSecond, device.bytesPerSecond, 1e-6 * device.bytesPerSecond);
  EXPECT_NEAR(fitted.flopsPerSecond, device.flopsPerSecond, 1e-6 * device.flopsPerSecond);
  EXPECT_NEAR(fitted.launchSeconds, device.launchSeconds, 1e-6 * device.launchSeconds);
}

TEST(DecodeLatency, NothingIsFittedWithoutKernelsOrToOneSize) {
  DecodeRequest request{.cases = {{8, 65536}, {1, 4096}}};
  DecodeLatency latency = measuredBy({"test", 4e12, 5e14, 1e-5}, request);
  for (DecodeCase& each : latency.cases)
    for (DecodeRow& row : each.rows) row.byKernel = false;
  EXPECT_EQ(errorOf(fittedProfile(request, latency)).code, ErrorCode::invalidArgument);
  latency.cases.resize(1);
  EXPECT_EQ(errorOf(fittedProfile(request, latency)).message,
            "The cost model's constants follow from two sizes at least.");
}

}  // namespace
}  // namespace kvista::test
