// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// `kvista`: answers at once what needs no arithmetic and leaves the rest to `kvista-compute` beside it. Loading
// libtorch takes longer than reading the headers of the largest checkpoint, so this program does without it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>

#include "app/cli/program.h"

namespace {

constexpr std::array<std::string_view, 5> kQuickVerbs = {"inspect", "tokenize", "detokenize", "doctor", "help"};

/// Whether a word is the place of an export of ours, which only `kvista-compute` opens.
bool isExport(std::string_view word) {
  std::error_code error;
  const std::filesystem::path path(word);
  return std::filesystem::exists(path / "kvista-report.json", error) ||
         (path.has_filename() && !std::filesystem::is_directory(path, error) &&
          std::filesystem::exists(path.parent_path() / "kvista-report.json", error));
}

bool isQuick(std::span<char*> arguments) {
  const auto verb = std::ranges::find_if(arguments, [](std::string_view word) { return !word.starts_with('-'); });
  return verb != arguments.end() && std::ranges::find(kQuickVerbs, std::string_view(*verb)) != kQuickVerbs.end() &&
         std::ranges::find(arguments, std::string_view("--weights")) == arguments.end() &&
         (*verb != std::string_view("inspect") || std::ranges::none_of(arguments, isExport));
}

}  // namespace

int main(int argc, char** argv) {
  if (isQuick(std::span(argv, static_cast<std::size_t>(argc)).subspan(std::min(argc, 1))))
    return kvista::runProgram(argc, argv, [](CLI::App& app, kvista::Invocation& invocation) {
      kvista::addInspect(app, invocation, nullptr, nullptr);
      kvista::addTokenize(app, invocation);
      kvista::addHelp(app, invocation);
      kvista::addDoctor(app, invocation, kvista::installationChecks);
    });
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string compute = (self.parent_path() / "kvista-compute").string();
  execv(compute.c_str(), argv);
  return kvista::reportError({kvista::ErrorCode::device,
                              fmt::format("{} cannot be started: {}.", compute, std::strerror(errno)),
                              {},
                              "Install it beside this program; `kvista doctor` says what else is missing."},
                             kvista::wantsJson(std::span(argv, static_cast<std::size_t>(argc))));
}
