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
  bool ready = true;
  for (const DoctorCheck& check : options.checks()) {
    const char* state = check.present ? "ok" : check.optional ? "optional" : "missing";
    output.text += fmt::format("  {:<9} {:<15} {}\n", state, check.name, check.found);
    if (!check.present) output.text += fmt::format("  {:<9} {:<15} {}\n", "", "", check.remedy);
    ready = ready && (check.present || check.optional);
    list.push_back({{"name", check.name},
                    {"present", check.present},
                    {"optional", check.optional},
                    {"found", check.found},
                    {"remedy", check.present ? "" : check.remedy}});
  }
  output.text += ready ? "All that KVista needs is here.\n" : "KVista needs what is missing.\n";
  output.json = {{"ready", ready}, {"checks", list}};
  return output;
}

}  // namespace

void addDoctor(CLI::App& app, Invocation& invocation, DoctorChecks checks) {
  addVerb(app, invocation, {"doctor", "What is installed, what is missing and how to get it", "kvista doctor"},
          std::make_shared<Options>(Options{checks}), run);
}

}  // namespace kvista
