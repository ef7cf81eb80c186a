// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>

#include "app/cli/model.h"
#include "app/cli/output_file.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/model/tensor_file.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string input;
  std::string output;
  bool gradients = false;
  ComputeSettings compute;
};

Result<Output> run(const Options& options, const Task& task) {
  KVISTA_CHECK(checkOutputFile(options.output, {options.model, options.input}));
  KVISTA_ASSIGN(const TensorFile input, TensorFile::open(options.input));
  KVISTA_ASSIGN(const at::Tensor ids, input.read("input_ids", at::kLong, {-1, -1}));
  KVISTA_ASSIGN(const Subject subject, openSubject(options.model, options.compute, task));
  const Decoder decoder = subject.model.decoder->withTokensPerStep(ids.numel());  // a record a layer
  const auto start = std::chrono::steady_clock::now();
  NamedTensors tensors;
  const auto keep = [&](const std::string& name, const at::Tensor& tensor) {
    tensors.emplace_back(name, tensor.detach().to(at::kFloat).cpu().clone());
  };
  const LayerVisitor outputs = [&](const LayerRecord& record) -> Result<void> {
    keep(fmt::format("k_{}", record.layer), record.keys);
    keep(fmt::format("v_{}", record.layer), record.values);
    return {};
  };
  KVISTA_ASSIGN(const ForwardResult result, decoder.forward(ids, subject.transform.get(), outputs, true, task));
  keep("logits", result.logits);
  keep("hidden_last", result.hiddenLast);
  if (options.gradients) {
    if (subject.transform)
      return fail(ErrorCode::invalidArgument, "Gradients are those of the uncompressed model.",
                  "Give the model, not a plan.");
    const LayerVisitor gradients = [&](const LayerRecord& record) -> Result<void> {
      keep(fmt::format("grad_k_{}", record.layer), record.gradientKeys);
      keep(fmt::format("grad_v_{}", record.layer), record.gradientValues);
      return {};
    };
    KVISTA_CHECK(decoder.forwardBackward(ids, gradients, task));
  }
  KVISTA_CHECK(writeTensorFile(options.output, tensors, {}, task));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return Output{
      {{"output", options.output}, {"tensors", tensors.size()}, {"tokens", ids.numel()}, {"seconds", seconds}},
      fmt::format("{} of {} {} in {} ({:.2f} s)\n", amount(tensors.size(), "tensor"), amount(ids.numel(), "token"),
                  tensors.size() == 1 ? "is" : "are", options.output, seconds)};
}

}  // namespace

void addForward(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation,
              {"forward", "Logits, hidden states, keys and values of given tokens, for comparing with other programs",
               "kvista forward resources/demo/model --input ids.safetensors -o outputs.safetensors --gradients"},
              options, run);
  verb->add_option("model", options->model, "Checkpoint, project or exported checkpoint")->required();
  verb->add_option("--input", options->input, "Safetensors file with input_ids [batch, tokens] int64")->required();
  verb->add_option("-o,--output", options->output, "Safetensors file to write")->required();
  verb->add_flag("--gradients", options->gradients, "Also d(sum of token losses) / d(keys and values)");
  addComputeOptions(verb, options->compute);
}

}  // namespace kvista
