// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "app/cli/engine_methods.h"
#include "app/cli/verb.h"
#include "core/engine/serve.h"
#include "core/io/file_descriptor.h"

namespace kvista {
namespace {

struct Options {
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  // Frames go out through a descriptor of their own: whatever a library prints lands with the messages for people.
  const FileDescriptor frames(dup(STDOUT_FILENO));
  if (!frames.isOpen() || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    return fail(ErrorCode::io, fmt::format("Standard output cannot be used: {}.", describeSystemError(errno)));
  std::signal(SIGPIPE, SIG_IGN);  // A client that is gone ends the loop instead of the process.
  EngineSettings settings = engineSettings(options.compute);
  settings.readsStandardInput = false;
  Workspace workspace(std::move(settings));
  KVISTA_CHECK(serve(STDIN_FILENO, frames.get(), workspace, task.stop));
  return Output{};
}

}  // namespace

void addEngine(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"engine",
       "Answer requests of a window or another program over standard input and output (core/engine/protocol.md)",
       "kvista engine --device cuda"},
      options, run);
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
