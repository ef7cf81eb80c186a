// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include "app/cli/verb.h"
#include "core/model/device.h"

namespace kvista {
namespace {

struct Options {};

struct Check {
  std::string name;
  bool present;
  std::string found;
  std::string remedy;  ///< How to get it, where it is missing.
};

Result<Output> run(const Options&, const Task&) {
  std::vector<Check> checks;
  checks.push_back({"kvista", true, KVISTA_VERSION, {}});
  checks.push_back({"libtorch", true, TORCH_VERSION, {}});
  checks.push_back({"CPU", true, fmt::format("{} cores, {} threads used", std::thread::hardware_concurrency(), at::get_num_threads()), {}});
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  checks.push_back({"memory", true, formatBytes(memory), {}});
  const auto gpu = openDevice("cuda");
  checks.push_back({"CUDA GPU", gpu.has_value(), gpu ? gpu->str() : gpu.error().message,
                    "Optional. Needs an NVIDIA driver and torch built with CUDA; everything also runs on the CPU."});
  Output output;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    output.text += fmt::format("  {} {:<10} {}\n", check.present ? "ok     " : "missing", check.name, check.found);
    if (!check.present) output.text += fmt::format("  {:<18} {}\n", "", check.remedy);
    list.push_back({{"name", check.name}, {"present", check.present}, {"found", check.found}, {"remedy", check.present ? "" : check.remedy}});
  }
  output.json = {{"checks", list}};
  return output;
}

}  // namespace

void addDoctor(CLI::App& app, Invocation& invocation) {
  addVerb(app, invocation, {"doctor", "What is installed, what is missing and how to get it", "kvista doctor"},
          std::make_shared<Options>(), run);
}

}  // namespace kvista
