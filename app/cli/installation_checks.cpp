// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/cli/verb.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

struct Answer {
  bool succeeded = false;
  std::string text;  ///< Standard output; of a failure standard error too.
};

/// Runs a program found by path or in PATH and waits for it.
Answer ask(std::vector<std::string> command) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, words.front(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  Answer answer;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; failure == 0 && (got = ::read(pipe[0], buffer.data(), buffer.size())) > 0;)
    answer.text.append(buffer.data(), static_cast<std::size_t>(got));
  ::close(pipe[0]);
  int status = 0;
  answer.succeeded = failure == 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return answer;
}

std::string_view firstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

/// The part of `kvista-compute`, or why there is none.
void appendCompute(const fs::path& folder, std::vector<DoctorCheck>& checks) {
  const fs::path program = folder / "kvista-compute";
  std::error_code error;
  if (!fs::exists(program, error)) {
    checks.push_back({"kvista-compute", false, fmt::format("{} is not there; only inspect, tokenize and detokenize work.", program.string()),
                      "Install it beside this program, or build it: cmake --build --preset release."});
    return;
  }
  const Answer answer = ask({program.string(), "doctor", "--json"});
  const auto document = nlohmann::json::parse(answer.text, nullptr, false);
  if (!answer.succeeded || !document.is_object() || !document.contains("checks")) {
    checks.push_back({"kvista-compute", false, fmt::format("{} does not start: {}", program.string(), firstLine(answer.text)),
                      "Most often libtorch has moved: run packaging/setup, which finds or downloads it, and build again."});
    return;
  }
  checks.push_back({"kvista-compute", true, program.string(), {}});
  for (const auto& check : document["checks"])
    checks.push_back({check.value("name", ""), check.value("present", false), check.value("found", ""), check.value("remedy", "")});
}

/// Whether a version such as "4.57.1" is at least `major`.`minor`.
bool isAtLeast(std::string_view version, int major, int minor) {
  std::array<int, 2> parts{};
  const char* at = version.data();
  const char* end = version.data() + version.size();
  for (int& part : parts) {
    at = std::from_chars(at, end, part).ptr;
    if (at != end) ++at;
  }
  return parts[0] > major || (parts[0] == major && parts[1] >= minor);
}

/// Exported models of the latent form run in Python; nothing of KVista itself does.
DoctorCheck pythonCheck() {
  constexpr const char* kRemedy =
      "Optional: exported models of the form latent run in Python with torch and transformers 4.44 or later: "
      "python3 -m pip install torch transformers.";
  const Answer answer = ask({"python3", "-c",
                             "from importlib.metadata import version as v; import platform; "
                             "print(platform.python_version(), v('torch'), v('transformers'))"});
  if (!answer.succeeded) {
    const bool ran = answer.text.find("PackageNotFoundError") != std::string::npos;
    return {"Python", false, ran ? "python3 has no torch or no transformers." : "There is no python3 in PATH.", kRemedy};
  }
  std::array<std::string, 3> versions;
  std::size_t begin = 0;
  const std::string_view line = firstLine(answer.text);
  for (std::string& version : versions) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    version = line.substr(std::min(begin, line.size()), end - std::min(begin, line.size()));
    begin = end + 1;
  }
  const bool fresh = isAtLeast(versions[2], 4, 44);
  return {"Python", fresh,
          fmt::format("python3 {} has torch {} and transformers {}{}", versions[0], versions[1], versions[2],
                      fresh ? ": exported models run in it" : ", which is too old"),
          kRemedy};
}

DoctorCheck studioCheck(const fs::path& folder) {
  const fs::path program = folder / "kvista-studio";
  std::error_code error;
  if (fs::exists(program, error)) return {"kvista-studio", true, program.string(), {}};
  return {"kvista-studio", false, "The window is not beside this program.",
          "Optional: it is built where Qt 6 with Charts is installed (Debian: qt6-base-dev, libqt6charts6-dev)."};
}

}  // namespace

std::vector<DoctorCheck> installationChecks() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<DoctorCheck> checks = {{"kvista", true, fmt::format("{}, {}", KVISTA_VERSION, self.string()), {}}};
  appendCompute(self.parent_path(), checks);
  checks.push_back(pythonCheck());
  checks.push_back(studioCheck(self.parent_path()));
  return checks;
}

}  // namespace kvista
