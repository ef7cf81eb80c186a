// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "app/cli/verb.h"
#include "core/io/project.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  bool weights = false;
  WeightScan scan = nullptr;
  ModelOpener open = nullptr;
};

Result<InspectedModel> openFiles(const std::filesystem::path& path) {
  KVISTA_ASSIGN(Checkpoint checkpoint, openCheckpoint(path));
  return InspectedModel{std::move(checkpoint), std::nullopt};
}

Result<Output> run(const Options& options, const Task& task) {
  std::filesystem::path path = options.model;
  std::optional<CompressionPlan> plan;
  const bool isProject = looksLikeProject(path);
  if (isProject) {
    KVISTA_ASSIGN(Project project, loadProject(path));
    path = project.model;
    plan = std::move(project.plan);
  }
  KVISTA_ASSIGN(InspectedModel opened, options.open ? options.open(path) : openFiles(path));
  const Checkpoint& checkpoint = opened.checkpoint;
  // The form serve is opened with values as wide as the original's and no method: its bytes are not what it stores.
  if (opened.plan && opened.plan->method != "manual") plan = std::move(opened.plan);
  KVISTA_ASSIGN(const DecoderDescription description, describe(checkpoint));
  const ModelShape& shape = description.shape;
  std::vector<std::string> problems = checkpoint.warnings;
  problems.insert(problems.end(), description.warnings.begin(), description.warnings.end());
  if (options.weights && options.scan) {
    KVISTA_ASSIGN(const std::vector<std::string> found, options.scan(checkpoint, description, task));
    problems.insert(problems.end(), found.begin(), found.end());
  }

  Output output;
  output.json = {{"path", checkpoint.path.string()},
                 {"format", nameOf(checkpoint.format)},
                 {"family", shape.family},
                 {"layers", shape.layers},
                 {"queryHeads", shape.queryHeads},
                 {"kvHeads", shape.kvHeads},
                 {"headDim", shape.headDim},
                 {"hiddenSize", shape.hiddenSize},
                 {"vocabulary", shape.vocabulary},
                 {"parameters", shape.parameters},
                 {"kvBytesPerToken", shape.cacheBytesPerToken()},
                 {"problems", problems}};
  output.text = fmt::format(
      "{}\n  family            {}\n  layers            {}\n  query heads       {}\n  KV heads          {} of {} "
      "numbers\n"
      "  hidden size       {}\n  vocabulary        {}\n  parameters        {:.4g} million\n"
      "  cache             {} a token at 16 bits; {} at 32,768 tokens\n",
      checkpoint.path.string(), shape.family, shape.layers, shape.queryHeads, shape.kvHeads, shape.headDim,
      shape.hiddenSize, shape.vocabulary, static_cast<double>(shape.parameters) / 1e6,
      formatBytes(static_cast<double>(shape.cacheBytesPerToken())),
      formatBytes(static_cast<double>(shape.cacheBytesPerToken()) * 32768));
  if (plan) {
    const std::int64_t bytes = bytesPerToken(*plan);
    output.json[isProject ? "project" : "export"] = options.model;
    output.json["plan"] = {{"method", plan->method}, {"bytesPerToken", bytes}, {"share", share(*plan, shape)}};
    output.text += fmt::format("  {:<17} {}: its cache takes {} a token, {:.2f} times less\n",
                               isProject ? "plan of project" : "export",
                               isProject ? options.model : fmt::format("a plan by {}", plan->method),
                               formatBytes(static_cast<double>(bytes)), 1 / share(*plan, shape));
  }
  for (const std::string& problem : problems) output.text += fmt::format("  note              {}\n", problem);
  return output;
}

}  // namespace

void addInspect(CLI::App& app, Invocation& invocation, WeightScan scan, ModelOpener open) {
  auto options = std::make_shared<Options>();
  options->scan = scan;
  options->open = open;
  CLI::App* verb = addVerb(
      app, invocation,
      {"inspect", "Say what a checkpoint is: family, shapes, bytes of cache a token, problems (reads headers only)",
       "kvista inspect resources/demo/model"},
      options, run);
  verb->add_option("model", options->model, "Folder, .safetensors, .bin, index or .gguf file, a project or an export")
      ->required();
  verb->add_flag("--weights", options->weights, "Also look through every weight for NaN and infinity");
}

}  // namespace kvista
