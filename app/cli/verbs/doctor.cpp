// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/verb.h"

namespace kvista {
namespace {

struct Options {
  DoctorChecks checks = nullptr;
};

Result<Output> run(const Options& options, const Task&) {
  Output output;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const DoctorCheck& check : options.checks()) {
    output.text += fmt::format("  {} {:<16} {}\n", check.present ? "ok     " : "missing", check.name, check.found);
    if (!check.present) output.text += fmt::format("  {:<24} {}\n", "", check.remedy);
    list.push_back({{"name", check.name}, {"present", check.present}, {"found", check.found}, {"remedy", check.present ? "" : check.remedy}});
  }
  output.json = {{"checks", list}};
  return output;
}

}  // namespace

void addDoctor(CLI::App& app, Invocation& invocation, DoctorChecks checks) {
  addVerb(app, invocation, {"doctor", "What is installed, what is missing and how to get it", "kvista doctor"},
          std::make_shared<Options>(Options{checks}), run);
}

}  // namespace kvista
