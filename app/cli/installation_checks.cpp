// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "app/cli/verb.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

struct Answer {
  bool succeeded = false;
  std::string output;
  std::string error;
};

std::string contents(int file) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

/// Runs a program found by path or in PATH and waits for it. What it writes goes to files in memory: a pipe each would
/// have to be read in turns.
Answer ask(std::vector<std::string> command) {
  const std::array<int, 2> files = {::memfd_create("output", MFD_CLOEXEC), ::memfd_create("error", MFD_CLOEXEC)};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, files[0], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, files[1], STDERR_FILENO);
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, words.front(), &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  pid_t ended = 0;
  while (failure == 0 && (ended = ::waitpid(child, &status, 0)) < 0 && errno == EINTR) {
  }
  Answer answer;
  answer.succeeded = failure == 0 && ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  answer.output = contents(files[0]);
  answer.error = failure == 0 ? contents(files[1]) : std::strerror(failure);
  for (const int file : files) ::close(file);
  return answer;
}

std::string_view firstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

/// The part of `kvista-compute`, or why there is none.
void appendCompute(const fs::path& folder, std::vector<DoctorCheck>& checks) {
  const fs::path program = folder / "kvista-compute";
  std::error_code error;
  if (!fs::exists(program, error)) {
    checks.push_back(
        {"kvista-compute", false,
         fmt::format("{} is not there; only help, inspect, tokenize and detokenize work.", program.string()),
         "Install it beside this program, or build it: cmake --build --preset release."});
    return;
  }
  const Answer answer = ask({program.string(), "doctor", "--json"});
  const auto document = nlohmann::json::parse(answer.output, nullptr, false);
  if (!answer.succeeded || !document.is_object() || !document.contains("checks")) {
    checks.push_back(
        {"kvista-compute", false, fmt::format("{} does not start: {}", program.string(), firstLine(answer.error)),
         "Most often libtorch has moved: run packaging/setup, which finds or downloads it, and build again."});
    return;
  }
  checks.push_back({"kvista-compute", true, program.string(), {}});
  for (const auto& check : document["checks"])
    checks.push_back({check.value("name", ""), check.value("present", false), check.value("found", ""),
                      check.value("remedy", ""), check.value("optional", false)});
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
      "Exported models of the form latent run in Python with torch and transformers 4.44 or later: "
      "python3 -m pip install torch transformers.";
  const Answer answer = ask({"python3", "-c",
                             "from importlib.metadata import version as v; import platform; "
                             "print(platform.python_version(), v('torch'), v('transformers'))"});
  if (!answer.succeeded) {
    const bool ran = answer.error.find("PackageNotFoundError") != std::string::npos;
    return {"Python", false,
            ran ? "python3 has no torch or no transformers." : "There is no python3 in PATH that starts.", kRemedy,
            true};
  }
  std::array<std::string, 3> versions;
  std::size_t begin = 0;
  const std::string_view line = firstLine(answer.output);
  for (std::string& version : versions) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    version = line.substr(std::min(begin, line.size()), end - std::min(begin, line.size()));
    begin = end + 1;
  }
  const bool fresh = isAtLeast(versions[2], 4, 44);
  return {"Python", fresh,
          fmt::format("python3 {} has torch {} and transformers {}{}", versions[0], versions[1], versions[2],
                      fresh ? ": exported models run in it" : ", which is too old"),
          kRemedy, true};
}

DoctorCheck studioCheck(const fs::path& folder) {
  const fs::path program = folder / "kvista-studio";
  std::error_code error;
  if (fs::exists(program, error)) return {"kvista-studio", true, program.string(), {}, true};
  return {"kvista-studio", false, "The window is not beside this program.",
          "It is built where Qt 6 with Charts is installed (Debian: qt6-base-dev, libqt6charts6-dev).", true};
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
