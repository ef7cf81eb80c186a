// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/program.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <span>
#include <string_view>

#include "app/cli/interrupt.h"
#include "app/cli/usage_error.h"

namespace kvista {
namespace {

void setUpLog(int verbosity, const Launch& launch) {
  auto log = spdlog::stderr_logger_st("kvista");
  log->set_pattern(launch.size > 1 ? fmt::format("%H:%M:%S [rank {}] %v", launch.rank) : "%H:%M:%S %v");
  const auto usual = launch.isFirst() ? spdlog::level::warn : spdlog::level::err;
  log->set_level(verbosity > 1 ? spdlog::level::debug : verbosity > 0 ? spdlog::level::info : usual);
  spdlog::set_default_logger(std::move(log));
}

/// Libraries may throw; nothing of that shall end the program without a sentence.
Result<Output> run(const Invocation& invocation, const Task& task) {
  try {
    return invocation.action(task);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::outOfMemory, "There is not enough memory for this.",
                "Use a smaller --window or fewer windows at a time.");
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, "Something failed that should not.", "Please report it with the line below.",
                error.what());
  }
}

}  // namespace

bool wantsJson(std::span<char*> arguments) {
  return std::ranges::any_of(arguments, [](const char* word) { return std::string_view(word) == "--json"; });
}

int reportError(const Error& error, bool json, const Launch& launch) {
  const std::string rank = launch.size > 1 ? fmt::format("[rank {}] ", launch.rank) : "";
  fmt::print(stderr, "kvista: {}{}{}{}\n", rank, error.message, error.hint.empty() ? "" : " ", error.hint);
  if (!error.detail.empty()) fmt::print(stderr, "  {}\n", error.detail);
  if (json && launch.isFirst()) {
    const nlohmann::ordered_json document = {
        {"error",
         {{"code", nameOf(error.code)}, {"message", error.message}, {"detail", error.detail}, {"hint", error.hint}}}};
    fmt::print("{}\n", document.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  return exitCodeOf(error.code);
}

int runProgram(int argc, char** argv, const std::function<void(CLI::App&, Invocation&)>& addVerbs,
               const Launch& launch) {
  CLI::App app("KVista makes the key-value cache of language models smaller.", "kvista");
  app.set_version_flag("--version", "kvista " KVISTA_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Start with:\n  kvista compress MODEL --text FILE --times-smaller 8 -o FOLDER\nThe manual:\n  kvista help");
  Invocation invocation;
  app.add_flag("-v,--verbose", invocation.verbosity, "Say what is done on standard error; twice for more");
  addVerbs(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help or version
    return reportError(usageError(app, error), wantsJson(std::span(argv, static_cast<std::size_t>(argc))), launch);
  }
  if (launch.size > 1 && !invocation.shares)
    return reportError(
        {ErrorCode::invalidArgument,
         fmt::format("The verb {} works in one process, but {} started {}.", app.get_subcommands().front()->get_name(),
                     launch.starter, launch.size),
         {},
         "Start it by itself; calibrate, plan, evaluate, compare, compress, refine and experiment share their work."},
        invocation.json, launch);
  setUpLog(invocation.verbosity, launch);

  Interrupt interrupt;
  ProgressLine progress(!launch.isFirst() && invocation.verbosity == 0);
  const Task task{interrupt.token(), [&](const ProgressReport& line) { progress.report(line); }};
  const Result<Output> output = run(invocation, task);
  progress.clear();
  if (!output) return reportError(output.error(), invocation.json, launch);
  if (!launch.isFirst()) return kDone;
  if (invocation.json)
    fmt::print("{}\n", output->json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    fmt::print("{}", output->text);
  return kDone;
}

}  // namespace kvista
