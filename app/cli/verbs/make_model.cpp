// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/make_model.h"

#include <fmt/format.h>

#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"

namespace kvista {
namespace {

struct Options {
  ModelRequest request;
  int layers = 0;
};

Result<Output> run(const Options& options, const Task& task) {
  ModelRequest request = options.request;
  if (options.layers > 0) request.layers = options.layers;
  KVISTA_ASSIGN(const MadeModel made, makeModel(request, task));
  const std::string bytes = formatBytes(static_cast<double>(made.weightBytes));
  return Output{{{"path", request.target.string()},
                 {"shape", request.shape},
                 {"layers", made.shape.layers},
                 {"parameters", made.shape.parameters},
                 {"weightBytes", made.weightBytes},
                 {"virtual", request.isVirtual},
                 {"files", made.files}},
                fmt::format("{} has the shape {} with {} and {} of random weights{}.\n", request.target.string(),
                            request.shape, amount(made.shape.layers, "layer"), bytes,
                            request.isVirtual ? ", which are made when they are read" : "")};
}

}  // namespace

void addMakeModel(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"make-model", "Write a checkpoint of random weights that is shaped like a published model, to measure with",
       "kvista make-model --shape llama-2-7b --virtual -o llama-7b"},
      options, run);
  verb->add_option("--shape", options->request.shape, "See `kvista list shapes`")
      ->required()
      ->check(oneOf(namesOf(publishedShapes())));
  verb->add_option("-o,--output", options->request.target, "Folder to write; it appears whole or not at all")
      ->required();
  verb->add_option("--layers", options->layers, "Only this many layers (default: all)")->check(wholeNumber(1, 10'000));
  verb->add_option("--seed", options->request.seed, "Of the random numbers")
      ->check(wholeNumber(0))
      ->capture_default_str();
  verb->add_flag("--virtual", options->request.isVirtual,
                 "Write no weights; they are made, the same ones, whenever they are read");
}

}  // namespace kvista
