// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/verify_export.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/checkpoint/export_report.h"
#include "core/checkpoint/open_model.h"
#include "core/compress/plan_transform.h"
#include "core/model/torch_guard.h"

namespace kvista {

namespace {

constexpr std::int64_t kWindows = 2;
constexpr std::int64_t kTokens = 48;
constexpr double kTolerance = 1e-3;
constexpr double kTolerance16Bit = 0.05;

/// Tokens spread over the vocabulary, the same for every run; fewer where there are learned positions for fewer.
at::Tensor fixedTokens(const DecoderDescription& description) {
  const std::int64_t tokens =
      description.embedding.positions.empty() ? kTokens : std::min(kTokens, description.maximumPositions);
  const at::Tensor places = at::arange(kWindows * tokens, at::TensorOptions(at::kLong));
  return (places * 7919 + 13).remainder(description.shape.vocabulary).view({kWindows, tokens});
}

bool hasCodes(const PlanFactors& factors) {
  return std::ranges::any_of(factors, [](const GroupFactors& group) {
    return std::ranges::any_of(group.widths, [](std::uint8_t width) { return width != 16; });
  });
}

/// Opens, loads and runs the folder's model.
Result<at::Tensor> logitsOf(const OpenedModel& opened, const ComputeOptions& options, const Task& task) {
  KVISTA_ASSIGN(const auto decoder, Decoder::load(opened.checkpoint, options, task));
  return logitsOnFixedTokens(*decoder, opened.plan ? &*opened.plan : nullptr, opened.factors, task);
}

}  // namespace

bool LogitComparison::isWithin() const {
  return (measure == "largest" ? largestDifference : meanSquareDifference) <= tolerance;
}

Result<at::Tensor> logitsOnFixedTokens(const Decoder& decoder, const CompressionPlan* plan, const PlanFactors& factors,
                                       const Task& task) {
  return guardTorch("The forward pass on fixed tokens", [&]() -> Result<at::Tensor> {
    std::optional<PlanTransform> transform;
    if (plan != nullptr) transform.emplace(*plan, factors, decoder.shape(), decoder.options().device);
    KVISTA_ASSIGN(const ForwardResult result, decoder.forward(fixedTokens(decoder.description()),
                                                              transform ? &*transform : nullptr, {}, true, task));
    return result.logits.to(at::kCPU, at::kFloat);
  });
}

Result<LogitComparison> compareWritten(const std::filesystem::path& folder, const ExportContent& content,
                                       const at::Tensor& expected, bool has16BitFactors, const ComputeOptions& options,
                                       const Task& task) {
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(folder));
  KVISTA_ASSIGN(const OpenedModel opened,
                isLatent(checkpoint) ? openLatent(checkpoint, content.plan) : openPlain(checkpoint));
  KVISTA_ASSIGN(const at::Tensor found, logitsOf(opened, options, task));
  return guardTorch("Comparing logits", [&]() -> Result<LogitComparison> {
    const at::Tensor difference = (found - expected).abs();
    LogitComparison comparison{.tokens = static_cast<int>(found.size(0) * found.size(1)),
                               .largestDifference = difference.max().item<double>(),
                               .meanSquareDifference = std::sqrt(difference.square().mean().item<double>()),
                               .tolerance = kTolerance,
                               .measure = hasCodes(content.factors) ? "root mean square" : "largest"};
    if (has16BitFactors || options.dtype != at::kFloat) {
      comparison.tolerance = kTolerance16Bit * expected.std().item<double>();
      comparison.measure = "root mean square";
    }
    if (comparison.isWithin()) return comparison;
    return fail(
        ErrorCode::numerical,
        fmt::format("What was written does not compute what was planned: logits differ by up to {:.3g} (root mean "
                    "square {:.3g}); allowed are {:.3g} ({}).",
                    comparison.largestDifference, comparison.meanSquareDifference, comparison.tolerance,
                    comparison.measure),
        "Nothing was kept. Please report this with the plan.");
  });
}

Result<Verification> verifyExport(const std::filesystem::path& folder, const ComputeOptions& options,
                                  const Task& task) {
  KVISTA_ASSIGN(const nlohmann::json report, readReport(folder));
  KVISTA_ASSIGN(const std::vector<ExportedFile> listed, filesOfReport(report, folder));
  Verification result{
      .form = report["form"].get<std::string>(), .files = static_cast<int>(listed.size()), .problems = {}};
  for (const ExportedFile& file : listed) {
    task.progress("verify", static_cast<std::uint64_t>(&file - listed.data()), listed.size(), "files");
    const auto found = hashFile(folder, file.name, task);
    if (!found) {
      if (found.error().code == ErrorCode::cancelled) return tl::unexpected(found.error());
      result.problems.push_back(found.error().message);
    } else if (*found != file) {
      result.problems.push_back(
          fmt::format("{} is not what was written: {} bytes with hash {}, the report says {} bytes "
                      "with hash {}.",
                      file.name, found->bytes, found->xxh3, file.bytes, file.xxh3));
    }
  }
  if (!result.problems.empty()) return result;

  const auto logits =
      openModel(folder).and_then([&](const OpenedModel& opened) { return logitsOf(opened, options, task); });
  if (!logits) {
    if (logits.error().code == ErrorCode::cancelled) return tl::unexpected(logits.error());
    result.problems.push_back(logits.error().message);
  } else if (!logits->isfinite().all().item<bool>()) {
    result.problems.push_back("The forward pass gives logits that are not finite.");
  }
  return result;
}

}  // namespace kvista
