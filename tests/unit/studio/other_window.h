// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QCoreApplication>
#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/studio/recovery.h"
#include "tests/unit/studio/edit_script.h"
#include "tests/unit/studio/made_up_model.h"
#include "tests/unit/studio/wait.h"

namespace kvista::test {

/// Another window, which can be killed.
class OtherWindow {
 public:
  explicit OtherWindow(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), QCoreApplication::applicationFilePath().toStdString());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    // A group of its own: the engine that it starts is in it too.
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (::posix_spawn(&process_, pointers[0], &actions, &attributes, pointers.data(), environ) != 0)
      throw std::runtime_error("no process");
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    output_ = ends[0];
  }
  OtherWindow(const OtherWindow&) = delete;
  OtherWindow& operator=(const OtherWindow&) = delete;
  ~OtherWindow() {
    kill();
    ::close(output_);
  }
  /// Reads until so many lines have come.
  void awaitLines(std::size_t count) {
    while (lines() < count && more()) continue;
  }
  /// It and its engine in the same moment.
  void kill() {
    if (process_ == 0) return;
    ::kill(-process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
    while (more()) continue;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::size_t lines() const {
    return static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\n'));
  }

 private:
  bool more() {
    std::array<char, 65536> buffer{};
    const ssize_t size = ::read(output_, buffer.data(), buffer.size());
    if (size > 0) text_.append(buffer.data(), static_cast<std::size_t>(size));
    return size > 0;
  }
  pid_t process_ = 0;
  int output_ = -1;
  std::string text_;
};

inline std::vector<RecoveredProject> abandoned(Recovery& recovery) {
  std::optional<std::vector<RecoveredProject>> found;
  recovery.findAbandoned(&recovery, [&](std::vector<RecoveredProject> came) { found = std::move(came); });
  EXPECT_TRUE(waitFor([&] { return found.has_value(); }));
  return *found;
}

/// The plans that a window with this seed goes through.
inline std::vector<std::string> plansOf(std::uint32_t seed, std::size_t edits) {
  Document document;
  document.startFrom(madeUpModel());
  EditScript script(seed);
  std::vector<std::string> plans = {bytesOf(document.plan())};
  for (std::size_t i = 0; i < edits; ++i) {
    script.step(document);
    plans.push_back(bytesOf(document.plan()));
  }
  return plans;
}

}  // namespace kvista::test
