// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/output_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "core/io/atomic_file.h"

namespace kvista {
namespace {

constexpr std::array<std::string_view, 6> kInputEndings = {".safetensors", ".bin", ".gguf", ".json", ".txt", ".jsonl"};

}  // namespace

Result<void> checkOutputFile(const std::filesystem::path& output, const std::vector<std::filesystem::path>& inputs) {
  KVISTA_CHECK(checkWritable(output));
  std::error_code error;
  if (!std::filesystem::exists(output, error)) return {};
  const std::filesystem::path place = std::filesystem::canonical(output, error);
  const bool couldBeInput = std::ranges::find(kInputEndings, place.extension().string()) != kInputEndings.end();
  for (const std::filesystem::path& input : inputs) {
    const std::filesystem::path source = std::filesystem::canonical(input, error);
    if (error || (source != place && !(couldBeInput && source == place.parent_path()))) continue;
    return fail(ErrorCode::invalidArgument,
                fmt::format("The output {} would replace {}, which is read here.", output.string(),
                            source == place ? "an input" : fmt::format("a file of {}", input.string())),
                "Give another name.");
  }
  return {};
}

}  // namespace kvista
