// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/evaluate/decode_latency.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "core/model/device.h"
#include "core/model/device_timer.h"
#include "core/model/latent_operators.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

constexpr std::int64_t kCheckedTokens = 2048;

/// What all rows of a case share.
struct Bench {
  const DecodeRequest& request;
  DecodeRequest::Case size;
  const DeviceTimer& timer;
  const Task& task;
  at::Tensor queries;  // [batch, queryHeads, width]
  double scale;

  [[nodiscard]] at::TensorOptions numbers() const { return at::TensorOptions(request.dtype).device(request.device); }
  [[nodiscard]] at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape, numbers()); }
};

Result<DecodeCase> measureFull(const Bench& bench) {
  const auto& [request, size, timer, task, queries, scale] = bench;
  DecodeCase result{.batch = size.batch, .context = size.context, .fullBytes = 0, .fullSeconds = 0, .rows = {}};
  const at::Tensor keys = bench.random({size.batch, request.heads, size.context, request.width}),
                   values = at::randn_like(keys);
  const at::Tensor query = queries.unsqueeze(2);
  result.fullBytes = 2 * keys.numel() * keys.element_size();
  // Kernels of grouped queries read every head once, as those over latents do.
  const auto attend = [&]() -> Result<void> {
    (void)at::scaled_dot_product_attention(query, keys, values, std::nullopt, 0.0, false, scale,
                                           request.queriesPerHead > 1);
    return {};
  };
  KVISTA_ASSIGN(result.fullSeconds, timer.median(attend, task));
  return result;
}

/// Times attention to `keys` and `values` and compares it with libtorch's operators on a part of them.
template <class Attention>
Result<void> measureRow(const Bench& bench, const Attention& attention, const at::Tensor& keys,
                        const at::Tensor& values, DecodeRow& row) {
  row.byKernel = attention.refusal().empty();
  row.reason = attention.refusal();
  const auto attend = [&]() -> Result<void> {
    return attention(bench.queries, keys, values, bench.scale).map([](const auto&) {});
  };
  KVISTA_ASSIGN(row.seconds, bench.timer.median(attend, bench.task));
  if (!row.byKernel) return {};
  const auto part = [](const at::Tensor& x) {
    return x.narrow(0, 0, 1).narrow(1, 0, std::min(kCheckedTokens, x.size(1)));
  };
  const at::Tensor query = bench.queries.narrow(0, 0, 1), someKeys = part(keys),
                   someValues = keys.is_same(values) ? someKeys : part(values);
  KVISTA_ASSIGN(const LatentAttended found, attention(query, someKeys, someValues, bench.scale));
  const at::Tensor wanted = attention.byOperators(query, someKeys, someValues, bench.scale).output.to(at::kFloat);
  row.error = ((found.output.to(at::kFloat) - wanted).norm() / wanted.norm()).template item<double>();
  return {};
}

/// Steps of codes as they would be for numbers of size 1.
at::Tensor stepsOf(const Bench& bench, const RecordLayout& layout) {
  std::vector<at::Tensor> steps;
  for (int run = 0; run < RecordLayout::kRuns; ++run)
    steps.push_back(at::full({layout.counts[static_cast<std::size_t>(run)]},
                             run == 0 ? 1.0 : 3 * std::exp2(1 - RecordLayout::bits(run)),
                             bench.numbers().dtype(at::kFloat)));
  return at::cat(steps);
}

RecordLayout layoutOf(const Bench& bench, std::array<int, RecordLayout::kRuns> counts) {
  return {.counts = counts,
          .runAlignment = 4,
          .alignment = 16,
          .numberBytes = static_cast<int>(bench.queries.element_size())};
}

/// Keys before RoPE; numbers of 16 bits, or codes where there are counts of them.
Result<DecodeRow> measureRebuilt(const Bench& bench, std::string name, int headsPerGroup,
                                 const std::optional<std::array<int, RecordLayout::kRuns>>& counts,
                                 const std::shared_ptr<const LatentRotation>& rotation) {
  const DecodeRequest& request = bench.request;
  const std::int64_t columns = std::int64_t{headsPerGroup} * request.width, groups = request.heads / headsPerGroup;
  std::optional<RebuiltAttention::Codes> codes;
  if (counts) {
    const RecordLayout layout = layoutOf(bench, *counts);
    codes = RebuiltAttention::Codes{layout, stepsOf(bench, layout)};
  }
  const std::int64_t rank =
      codes ? codes->layout.rank()
            : std::max<std::int64_t>(1, std::llround(request.kept * static_cast<double>(columns) / 8)) * 8;
  const std::int64_t elements = codes ? codes->layout.bytes() : rank;
  DecodeRow row{.name = std::move(name),
                .headsPerGroup = headsPerGroup,
                .rebuildsKeys = true,
                .keyRank = rank,
                .valueRank = rank,
                .reason = {}};
  std::vector<RebuiltAttention::Group> described;
  const double size = 1 / std::sqrt(static_cast<double>(rank));
  for (std::int64_t g = 0; g < groups; ++g)
    described.push_back({bench.random({rank, columns}) * size, bench.random({columns, rank}) * size, g * elements,
                         g * elements, codes, codes});
  KVISTA_ASSIGN(const RebuiltAttention attention,
                RebuiltAttention::make(std::move(described), rotation, request.queriesPerHead));
  const auto records = [&] {
    const std::vector<std::int64_t> sizes = {bench.size.batch, bench.size.context, groups * elements};
    return codes ? at::empty(sizes, bench.numbers().dtype(at::kByte)).random_() : bench.random(sizes);
  };
  const at::Tensor keys = records(), values = records();
  row.bytes = 2 * keys.numel() * keys.element_size();
  KVISTA_CHECK(measureRow(bench, attention, keys, values, row));
  return row;
}

/// Codes of single heads, keys after RoPE; every head's records follow each other in memory.
Result<DecodeRow> measureDirect(const Bench& bench, std::string name, std::array<int, RecordLayout::kRuns> counts) {
  const DecodeRequest& request = bench.request;
  const RecordLayout layout = layoutOf(bench, counts);
  const std::int64_t rank = layout.rank(), bytes = layout.bytes(), ofHead = bytes * bench.size.context,
                     ofSequence = ofHead * request.heads;
  DecodeRow row{.name = std::move(name), .keyRank = rank, .valueRank = rank, .reason = {}};
  std::vector<DirectAttention::Head> heads;
  const double size = 1 / std::sqrt(static_cast<double>(rank));
  const at::Tensor allSteps = stepsOf(bench, layout);
  for (int h = 0; h < request.heads; ++h) {
    const auto latent = [&] {
      return DirectAttention::Latent{layout, bench.random({request.width, rank}) * size, allSteps, h * ofHead};
    };
    heads.push_back({latent(), latent()});
  }
  KVISTA_ASSIGN(const DirectAttention attention, DirectAttention::make(std::move(heads), request.queriesPerHead));
  const auto records = [&] {
    at::Tensor all = at::empty({bench.size.batch * ofSequence}, bench.numbers().dtype(at::kByte));
    all.random_();
    return all.as_strided({bench.size.batch, bench.size.context, ofSequence - ofHead + bytes}, {ofSequence, bytes, 1});
  };
  const at::Tensor keys = records(), values = records();
  row.bytes = 2 * bench.size.batch * ofSequence;
  KVISTA_CHECK(measureRow(bench, attention, keys, values, row));
  return row;
}

Result<DecodeCase> measureCase(const Bench& bench, const std::shared_ptr<const LatentRotation>& rotation) {
  KVISTA_ASSIGN(DecodeCase result, measureFull(bench));
  giveBackUnused(bench.request.device);
  for (const int headsPerGroup : {4, 2, 1}) {
    if (bench.request.heads % headsPerGroup != 0) continue;
    const std::string name = headsPerGroup == 1 ? "single heads" : fmt::format("groups of {}", headsPerGroup);
    KVISTA_ASSIGN(DecodeRow row, measureRebuilt(bench, name, headsPerGroup, std::nullopt, rotation));
    result.rows.push_back(std::move(row));
    giveBackUnused(bench.request.device);
    if (headsPerGroup != 4) continue;
    // About an eighth of the bytes of 16 bits.
    const int head = bench.request.width / 4;
    KVISTA_ASSIGN(row, measureRebuilt(bench, name + ", 8, 4 and 2 bits", headsPerGroup,
                                      std::array{0, head, head * 3, head * 4, 0}, rotation));
    result.rows.push_back(std::move(row));
    giveBackUnused(bench.request.device);
  }
  // A quarter of the bytes of 16 bits, alike and as a waterline spreads them: on average 3.75 bits and a padded record.
  const int width = bench.request.width, eight = width * 3 / 32, two = width / 8;
  for (const auto& [name, counts] :
       {std::pair<const char*, std::array<int, RecordLayout::kRuns>>{"coded-head, 4 bits", {0, 0, width, 0, 0}},
        {"coded-head, 8, 4 and 2 bits", {0, eight, width * 11 / 16, two, 0}}}) {
    KVISTA_ASSIGN(DecodeRow row, measureDirect(bench, name, counts));
    result.rows.push_back(std::move(row));
    giveBackUnused(bench.request.device);
  }
  return result;
}

}  // namespace

Result<DecodeLatency> measureDecode(const DecodeRequest& request, const Task& task) {
  return guardTorch("Measuring attention", [&]() -> Result<DecodeLatency> {
    const c10::NoGradGuard noGrad;
    const DeviceTimer timer(request.device);
    DecodeLatency result;
    result.device = nameOfDevice(request.device);
    KVISTA_ASSIGN(result.copyBytesPerSecond, timer.copyBandwidth(task));
    KVISTA_ASSIGN(result.matrixFlopsPerSecond, timer.matrixRate(request.dtype, task));
    std::vector<float> frequencies;
    for (int j = 0; j < request.width / 2; ++j)
      frequencies.push_back(static_cast<float>(std::pow(1e4, -2.0 * j / request.width)));
    const auto rotation = std::make_shared<LatentRotation>(frequencies, request.device);
    for (std::size_t i = 0; i < request.cases.size(); ++i) {
      task.progress("measure", i, request.cases.size(), "sizes");
      Bench bench{request, request.cases[i], timer, task, {}, 1 / std::sqrt(static_cast<double>(request.width))};
      bench.queries =
          bench.random({bench.size.batch, std::int64_t{request.heads} * request.queriesPerHead, request.width});
      KVISTA_ASSIGN(DecodeCase measured, measureCase(bench, rotation));
      result.cases.push_back(std::move(measured));
    }
    return result;
  });
}

Result<DeviceProfile> fittedProfile(const DecodeRequest& request, const DecodeLatency& latency) {
  if (latency.cases.size() < 2)
    return fail(ErrorCode::invalidArgument, "The cost model's constants follow from two sizes at least.",
                "Leave out --batch and --context.");
  // seconds / t = 1 for seconds = launch + bytes * slope.
  double a = 0, b = 0, c = 0, p = 0, q = 0;
  for (const DecodeCase& measured : latency.cases) {
    const double call = 1 / measured.fullSeconds,
                 bytes = static_cast<double>(measured.fullBytes) / measured.fullSeconds;
    a += call * call;
    b += call * bytes;
    c += bytes * bytes;
    p += call;
    q += bytes;
  }
  const double determinant = a * c - b * b;
  double launch = determinant > 0 ? (p * c - q * b) / determinant : 0,
         slope = determinant > 0 ? (a * q - b * p) / determinant : q / c;
  if (launch < 0) {  // noise: then the whole time is reading
    launch = 0;
    slope = q / c;
  }
  DeviceProfile profile{latency.device, 1 / slope, 0, launch};
  for (const DecodeCase& measured : latency.cases)
    for (const DecodeRow& row : measured.rows) {
      if (!row.byKernel || !row.rebuildsKeys || row.seconds <= launch) continue;
      const double columns = static_cast<double>(request.heads) * request.width, queries = request.queriesPerHead;
      const double multiplyAdds = static_cast<double>(row.keyRank) * columns +
                                  queries * (columns + static_cast<double>(row.valueRank) * request.heads);
      profile.flopsPerSecond =
          std::max(profile.flopsPerSecond,
                   2 * multiplyAdds * static_cast<double>(measured.batch * measured.context) / (row.seconds - launch));
    }
  if (!(profile.bytesPerSecond > 0) || profile.flopsPerSecond <= 0)
    return fail(ErrorCode::invalidArgument,
                "No kernel that rebuilds keys was measured, from which the rate of arithmetic would follow.");
  return profile;
}

}  // namespace kvista
