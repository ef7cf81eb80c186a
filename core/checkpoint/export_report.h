// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/plan/plan.h"

namespace kvista {

inline constexpr std::string_view kReportName = "kvista-report.json";

/// A file of an export as its report lists it.
struct ExportedFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string xxh3;  ///< XXH3 of all bytes, 16 hex digits.
  bool operator==(const ExportedFile&) const = default;
};

/// Reads and hashes a file of the folder. Errors: io.
Result<ExportedFile> hashFile(const std::filesystem::path& folder, const std::string& name, const Task& task);
/// The same for several, some at a time.
Result<std::vector<ExportedFile>> hashFiles(const std::filesystem::path& folder, const std::vector<std::string>& names,
                                            const Task& task);

nlohmann::json toJson(const std::vector<ExportedFile>& files);

/// kvista-report.json of a folder, an object with "plan", "form" (a string) and "files" as they must be. Errors: io,
/// corruptFile.
Result<nlohmann::json> readReport(const std::filesystem::path& folder);
/// What readReport answered of `folder`. Error (corruptFile): a field of the plan is damaged.
Result<CompressionPlan> planOfReport(const nlohmann::json& report, const std::filesystem::path& folder);
Result<std::vector<ExportedFile>> filesOfReport(const nlohmann::json& report, const std::filesystem::path& folder);

}  // namespace kvista
