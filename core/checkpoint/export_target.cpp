// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/export_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/checkpoint/export_report.h"
#include "core/io/atomic_file.h"

namespace kvista {

namespace {

namespace fs = std::filesystem;

/// Without links, as far as the path exists.
Result<fs::path> resolve(const fs::path& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) return fail(ErrorCode::io, fmt::format("{} cannot be resolved: {}.", path.string(), error.message()));
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

/// True if `inner` is `outer` or lies in it. Both resolved.
bool isWithin(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

}  // namespace

Result<void> checkTarget(const fs::path& target, const Checkpoint& checkpoint, bool overwrite) {
  KVISTA_ASSIGN(const fs::path resolved, resolve(target));
  std::vector<fs::path> sources = checkpoint.files;
  sources.push_back(checkpoint.path);
  for (const fs::path& source : sources) {
    KVISTA_ASSIGN(const fs::path place, resolve(source));
    if (isWithin(place, resolved)) {
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The export cannot go to {}: that is where the model itself lies.", target.string()),
                  "Give a folder of its own.");
    }
  }
  std::error_code error;
  KVISTA_ASSIGN(const fs::path source, resolve(checkpoint.path));
  if (fs::is_directory(source, error) && isWithin(resolved, source)) {
    return fail(ErrorCode::invalidArgument,
                fmt::format("The export cannot go to {}: that is inside the model's own folder.", target.string()),
                "Give a folder beside it.");
  }
  KVISTA_CHECK(AtomicDirectory::create(target, 0, overwrite));
  if (!overwrite || !fs::exists(resolved, error)) return {};
  if (fs::is_directory(resolved, error) && (fs::is_empty(resolved, error) || fs::exists(resolved / kReportName, error)))
    return {};
  return fail(ErrorCode::invalidArgument,
              fmt::format("{} is not an earlier export (it has no {}), so it will not be replaced.", target.string(),
                          kReportName),
              "Give another folder, or remove it yourself.");
}

Result<void> checkWeightType(const std::optional<DataType>& dtype) {
  if (!dtype || *dtype == DataType::f32 || *dtype == DataType::bf16 || *dtype == DataType::f16) return {};
  return fail(ErrorCode::invalidArgument, fmt::format("Weights cannot be written as {}.", nameOf(*dtype)),
              "Choose one of: float32, bfloat16, float16.");
}

}  // namespace kvista
