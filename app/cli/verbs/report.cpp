// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/report/report.h"

#include <fmt/format.h>

#include "app/cli/engine_methods.h"
#include "app/cli/verb.h"
#include "core/io/atomic_file.h"

namespace kvista {
namespace {

struct Options {
  std::string project;
  std::string output;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  Workspace workspace(engineSettings(options.compute));
  KVISTA_ASSIGN(Project project, loadProject(options.project));
  KVISTA_ASSIGN(const std::string page,
                reportOf(std::move(project), std::filesystem::path(options.project).stem().string(), workspace, task));
  KVISTA_CHECK(writeFileAtomically(options.output, page));
  return Output{
      {{"report", options.output}, {"bytes", page.size()}},
      fmt::format("The report is in {} ({}).\n", options.output, formatBytes(static_cast<double>(page.size())))};
}

}  // namespace

void addReport(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"report", "A project as one HTML page: plan, predictions, measurements, spectra, provenance",
               "kvista report llama.kvista -o llama.html"},
              options, run);
  verb->add_option("project", options->project, "Project of `kvista plan` or the window")->required();
  verb->add_option("-o,--output", options->output, "HTML file to write")->required();
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
