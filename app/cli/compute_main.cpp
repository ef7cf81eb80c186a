// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "app/cli/program.h"
#include "core/checkpoint/open_model.h"
#include "core/engine/measured_profiles.h"
#include "core/model/weights.h"
#include "core/plan/device_profiles.h"

namespace {

kvista::Result<kvista::InspectedModel> openExportToo(const std::filesystem::path& path) {
  KVISTA_ASSIGN(kvista::OpenedModel opened, kvista::openModel(path));
  return kvista::InspectedModel{std::move(opened.checkpoint), std::move(opened.plan)};
}

}  // namespace

int main(int argc, char** argv) {
  const auto launch = kvista::readLaunch();
  if (!launch)
    return kvista::reportError(launch.error(), kvista::wantsJson(std::span(argv, static_cast<std::size_t>(argc))));
  kvista::MeasuredProfiles measured = kvista::readMeasuredProfiles();
  for (const std::string& problem : measured.problems) fmt::print(stderr, "kvista: {}\n", problem);
  kvista::useMeasuredProfiles(std::move(measured.profiles));
  const int code = kvista::runProgram(
      argc, argv,
      [](CLI::App& app, kvista::Invocation& invocation) {
        kvista::addInspect(app, invocation, kvista::scanWeights, openExportToo);
        kvista::addCompress(app, invocation);
        kvista::addCalibrate(app, invocation);
        kvista::addSimilarity(app, invocation);
        kvista::addPlan(app, invocation);
        kvista::addEvaluate(app, invocation);
        kvista::addRefine(app, invocation);
        kvista::addExport(app, invocation);
        kvista::addVerify(app, invocation);
        kvista::addCompare(app, invocation);
        kvista::addMerge(app, invocation);
        kvista::addTokenize(app, invocation);
        kvista::addForward(app, invocation);
        kvista::addGenerate(app, invocation);
        kvista::addLosses(app, invocation);
        kvista::addRetrieval(app, invocation);
        kvista::addGate(app, invocation);
        kvista::addTasks(app, invocation);
        kvista::addAgreement(app, invocation);
        kvista::addErrors(app, invocation);
        kvista::addSpectra(app, invocation);
        kvista::addSharing(app, invocation);
        kvista::addReport(app, invocation);
        kvista::addExperiment(app, invocation);
        kvista::addMakeModel(app, invocation);
        kvista::addBench(app, invocation);
        kvista::addEngine(app, invocation);
        kvista::addList(app, invocation);
        kvista::addHelp(app, invocation);
        kvista::addDoctor(app, invocation, kvista::computeChecks);
      },
      *launch);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // What is left is libtorch taking its registries of operators apart, which takes a third of the time of a short verb.
  std::fflush(nullptr);
  std::_Exit(code);
#else
  return code;
#endif
}
