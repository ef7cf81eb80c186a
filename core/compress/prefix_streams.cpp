// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/prefix_streams.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/calibration/statistics.h"

namespace kvista {

Result<PrefixStreams> PrefixStreams::begin(const Decoder& decoder, const at::Tensor& ids, const Task& task) {
  const std::int64_t tokensPerBatch = decoder.options().device.is_cpu() ? 2048 : 16384;
  const std::int64_t perBatch = std::max<std::int64_t>(1, tokensPerBatch / ids.size(1));
  PrefixStreams streams(decoder);
  streams.sampleRows_ = sampleRowsPerWindow(decoder.shape(), ids.size(0), ids.size(1));
  for (std::int64_t done = 0; done < ids.size(0); done += perBatch) {
    KVISTA_CHECK(task.checkStop());
    const std::int64_t batch = std::min(perBatch, ids.size(0) - done);
    KVISTA_ASSIGN(const at::Tensor hidden, decoder.embed(ids.narrow(0, done, batch).to(at::kLong)));
    streams.original_.push_back(hidden.cpu());
    streams.compressed_.push_back(hidden.cpu().clone());
  }
  return streams;
}

Result<PrefixMoments> PrefixStreams::moments(bool withoutSinks, const Task& task) const {
  const Decoder& decoder = *decoder_;
  const at::Device device = decoder.options().device;
  const ModelShape& shape = decoder.shape();
  const at::Tensor weight = at::cat(
      {decoder.keyWeight(layer_).to(at::kFloat), decoder.valueWeight(layer_).to(at::kFloat)});  // [2kv, hiddenSize]
  // Sums are taken where they are smaller, as in Statistics.
  const bool ofInput = sumsInputs(shape);
  const std::int64_t n = ofInput ? shape.hiddenSize : shape.cacheWidth();
  const auto rowsOf = [&](const at::Tensor& hidden) -> Result<at::Tensor> {
    KVISTA_ASSIGN(const at::Tensor input, decoder.attentionInputOf(layer_, hidden.to(device)));
    return ofInput ? input.to(at::kFloat) : at::matmul(input.to(at::kFloat), weight.t());
  };

  const auto sums = at::TensorOptions().dtype(at::kDouble).device(device);
  at::Tensor own = at::zeros({n, n}, sums);
  // Of (y2 - y1) y2^T: of y1 y2^T it would be the difference of large numbers.
  at::Tensor error = at::zeros({n, n}, sums);
  at::Tensor ownSum = at::zeros({n}, sums), targetSum = at::zeros({n}, sums);
  std::vector<at::Tensor> sample;
  double tokens = 0;
  std::int64_t window = 0;
  for (std::size_t i = 0; i < original_.size(); ++i) {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(const at::Tensor target, rowsOf(original_[i]));
    KVISTA_ASSIGN(const at::Tensor rows, rowsOf(compressed_[i]));
    const std::int64_t length = rows.size(1);
    const std::int64_t begin = withoutSinks ? std::min<std::int64_t>(kSinkTokens, length) : 0;
    const at::Tensor seen = rows.narrow(1, begin, length - begin).flatten(0, 1);
    const at::Tensor wanted = target.narrow(1, begin, length - begin).flatten(0, 1);
    const at::Tensor difference = seen - wanted;
    ownSum += seen.sum(0, false, at::kDouble);
    targetSum += wanted.sum(0, false, at::kDouble);
    own += at::matmul(seen.t(), seen).to(at::kDouble);
    error += at::matmul(difference.t(), seen).to(at::kDouble);
    tokens += static_cast<double>(seen.size(0));
    std::vector<std::int64_t> places;
    for (std::int64_t b = 0; b < rows.size(0); ++b, ++window)
      for (const std::int64_t position : samplePositionsOf(window, length, sampleRows_))
        places.push_back(b * length + position);
    sample.push_back(rows.flatten(0, 1).index_select(0, at::tensor(places, at::kLong).to(device)));
  }
  const at::Tensor wide = weight.to(at::kDouble);
  const auto ofOutputs = [&](const at::Tensor& sum) {
    const at::Tensor mean = sum / tokens;
    return ofInput ? at::matmul(at::matmul(wide, mean), wide.t()) : mean;
  };
  const at::Tensor compressed = ofOutputs((own + own.t()) / 2);
  const auto meanOfOutputs = [&](const at::Tensor& sum) {
    return ofInput ? at::matmul(wide, sum / tokens) : sum / tokens;
  };
  const at::Tensor drawn = at::cat(sample);
  return PrefixMoments{compressed, compressed - ofOutputs(error), ofInput ? at::matmul(drawn, weight.t()) : drawn,
                       meanOfOutputs(ownSum), meanOfOutputs(targetSum)};
}

Result<void> PrefixStreams::advance(const CacheTransform& compressed, const Task& task) {
  const at::Device device = decoder_->options().device;
  const auto through = [&](at::Tensor& hidden, const CacheTransform* transform) -> Result<void> {
    KVISTA_CHECK(task.checkStop());
    KVISTA_ASSIGN(const at::Tensor next, decoder_->advance(layer_, hidden.to(device), transform));
    hidden = next.cpu();
    return {};
  };
  for (at::Tensor& hidden : original_) KVISTA_CHECK(through(hidden, nullptr));
  for (at::Tensor& hidden : compressed_) KVISTA_CHECK(through(hidden, &compressed));
  ++layer_;
  return {};
}

}  // namespace kvista
