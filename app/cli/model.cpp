// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/model.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "app/cli/option_checks.h"
#include "core/calibration/statistics.h"
#include "core/checkpoint/open_model.h"
#include "core/compress/factor_file.h"
#include "core/engine/memory_forecast.h"
#include "core/model/device.h"
#include "core/policy/named_policies.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

/// The device of this process: where several share a host and its GPUs, each takes its own.
Result<c10::Device> deviceOf(const ComputeSettings& settings, const Launch& launch) {
  if (launch.size > 1 && settings.device == "cuda" && !launch.localRank)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} started {} processes, but no environment variable says which GPU is that of rank {}.",
                            launch.starter, launch.size, launch.rank),
                "Set LOCAL_RANK to each process's number on its host, or give --device cuda:N.");
  return openDevice(settings.device, launch.localRank.value_or(0));
}

/// Threads of this process, 0 where libtorch's own choice is left. torchrun gives each process one where nobody said
/// how many, and 13 GB of weights are then looked through by one core: each takes its share of the host's instead.
int threadsOf(const ComputeSettings& settings, const Launch& launch) {
  if (settings.threads > 0 || !launch.localSize || environmentVariable("OMP_NUM_THREADS") != "1")
    return settings.threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / *launch.localSize);
}

}  // namespace

Result<ComputeSettings> ownSettings(ComputeSettings settings) {
  KVISTA_ASSIGN(const Launch launch, readLaunch());
  KVISTA_ASSIGN(const c10::Device device, deviceOf(settings, launch));
  settings.device = device.str();
  settings.threads = threadsOf(settings, launch);
  return settings;
}

namespace {

Result<Subject> openProjectSubject(const std::string& path, const ComputeSettings& settings, const Task& task,
                                   const ProcessGroup& processes) {
  Subject subject;
  KVISTA_ASSIGN(subject.project, loadProject(path));
  KVISTA_ASSIGN(ProjectParts parts, openProjectParts(*subject.project, path, settings, task, processes));
  subject.model = std::move(parts.model);
  subject.plan = subject.project->plan;
  subject.transform = std::make_unique<PlanTransform>(*subject.plan, parts.factors, subject.model.decoder->shape(),
                                                      subject.model.decoder->options().device);
  return subject;
}

Result<LoadedModel> loadOpened(Checkpoint checkpoint, const ComputeSettings& settings, const Task& task) {
  LoadedModel model{std::move(checkpoint), nullptr};
  for (const std::string& warning : model.checkpoint.warnings) spdlog::warn("{}", warning);
  ComputeOptions options;
  KVISTA_ASSIGN(const ComputeSettings own, ownSettings(settings));
  if (own.threads > 0) at::set_num_threads(own.threads);
  KVISTA_ASSIGN(options.device, openDevice(own.device));
  if (settings.keptMegabytes) options.activationBudgetBytes = *settings.keptMegabytes * 1'000'000;
  options.streamLayers = settings.streamLayers;
  options.dtype = settings.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  spdlog::info("loading {} on {} in {}", model.checkpoint.path.string(), describeDevice(options.device),
               settings.dtype);
  KVISTA_ASSIGN(const DecoderDescription description, describe(model.checkpoint));
  KVISTA_CHECK(checkMemory(
      weightBytes(model.checkpoint, description, options.device, options.dtype, options.streamLayers), options.device,
      fmt::format("The weights of {}{}", model.checkpoint.path.string(),
                  options.streamLayers ? ", two layers at a time," : "")));
  KVISTA_ASSIGN(model.decoder, Decoder::load(model.checkpoint, options, task));
  if (model.decoder->options().streamLayers && !options.streamLayers)
    spdlog::warn("The weights do not fit on {}; layers are read one after the other.", describeDevice(options.device));
  for (const std::string& warning : model.decoder->description().warnings) spdlog::warn("{}", warning);
  return model;
}

}  // namespace

Result<ProcessGroup> joinProcesses(const ComputeSettings& settings) {
  KVISTA_ASSIGN(const Launch launch, readLaunch());
  if (launch.size == 1) return ProcessGroup{};
  KVISTA_ASSIGN(const c10::Device device, deviceOf(settings, launch));
  spdlog::info("waiting for {} processes at {}:{}", launch.size, launch.address, launch.port);
  KVISTA_ASSIGN(ProcessGroup processes, ProcessGroup::join(launch, device));
  if (!device.is_cpu() && processes.isFirst()) {
    if (processes.transport() == "NCCL")
      spdlog::info("sums of GPUs go through NCCL");
    else
      spdlog::warn("Sums of GPUs go through main memory: libkvista_nccl.so was not built or cannot be loaded.");
  }
  return processes;
}

void addComputeOptions(CLI::App* verb, ComputeSettings& settings) {
  verb->add_option("--device", settings.device, "cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--dtype", settings.dtype, "Arithmetic of the model")
      ->check(oneOf({"float32", "bfloat16"}))
      ->capture_default_str();
  verb->add_flag("--stream-layers", settings.streamLayers,
                 "Keep two layers' weights in memory and read the others as a pass comes to them (what a GPU too small "
                 "for the model does by itself)");
  verb->add_option("--threads", settings.threads, "CPU threads (0: one a core)")->check(wholeNumber(0, 1024));
}

void addGradientOptions(CLI::App* verb, ComputeSettings& settings) {
  verb->add_option("--keep-activations", settings.keptMegabytes,
                   "Megabytes of activations to keep for gradients instead of computing them twice; 0 needs least "
                   "memory and up to a third more time (default: 1074, or half of what a GPU has free)")
      ->check(wholeNumber(0, 1'000'000));
}

void addPolicyOption(CLI::App* verb, std::string& line) {
  verb->add_option("--policy", line,
                   "Beside it under a run-time policy that keeps the cache small: 'snapkv share=.25 interval=64'; over "
                   "a project's plan where it goes with that; `kvista list policies` (default: what an export records; "
                   "none: without that)")
      ->check(someText("the name of a policy"));
}

std::string askedPolicy(const std::string& line, const std::string& recorded) {
  if (line == kNoPolicy) return {};
  if (!line.empty() || recorded.empty()) return line;
  spdlog::warn("The export records the policy '{}', which is applied; --policy none measures without it.", recorded);
  return recorded;
}

Result<std::optional<PolicyRequest>> requestOf(const std::string& line) {
  if (line.empty() || line == kNoPolicy) return std::nullopt;
  KVISTA_ASSIGN(PolicyRequest request, policyFromText(line));
  return request;
}

Result<LoadedModel> loadModel(const std::string& path, const ComputeSettings& settings, const Task& task) {
  KVISTA_ASSIGN(Checkpoint checkpoint, openCheckpoint(path));
  return loadOpened(std::move(checkpoint), settings, task);
}

void addTextOptions(CLI::App* verb, TextSettings& settings, bool required) {
  auto* text = verb->add_option("--text", settings.recipe.paths,
                                "Text files, folders of .txt and .jsonl, or - for standard input");
  if (required) text->required();
  verb->add_option(
          "--weights", settings.recipe.weights,
          "One number for each --text: windows are taken from all in this ratio (default: from one text after another)")
      ->check(positiveNumber());
  verb->add_option("--window", settings.recipe.window,
                   "Tokens a window (default: 2048, or the model's context if that is shorter)")
      ->check(wholeNumber(2));
  verb->add_option("--windows", settings.windows, "At most this many windows (default: all)")->check(wholeNumber(1));
  verb->add_option("--tokens", settings.tokens, "At most this many tokens, in whole windows")->check(wholeNumber(1));
  verb->add_option("--skip-windows", settings.recipe.skipWindows, "Leave out this many windows at the start")
      ->check(wholeNumber(0));
  verb->add_option("--seed", settings.seed, "Draw windows at random with this seed (default: from the start, in order)")
      ->check(wholeNumber(0));
  verb->add_flag("--bos", settings.recipe.beginWithBos, "Begin each window with the BOS token");
}

TextRecipe completedRecipe(const LoadedModel& model, const TextSettings& settings) {
  TextRecipe recipe = settings.recipe;
  if (recipe.window == 0) recipe.window = usualWindow(model.decoder->description().maximumPositions);
  if (settings.windows > 0) recipe.windows = settings.windows;
  if (settings.tokens > 0) {
    const std::int64_t fitting = std::max<std::int64_t>(1, settings.tokens / recipe.window);
    recipe.windows = recipe.windows ? std::min(*recipe.windows, fitting) : fitting;
  }
  if (settings.seed >= 0) recipe.seed = static_cast<std::uint64_t>(settings.seed);
  return recipe;
}

Result<TokenWindows> readText(const LoadedModel& model, TextSettings settings, const Task& task,
                              const ProcessGroup& processes) {
  KVISTA_ASSIGN(const Tokenizer tokenizer, tokenizerOf(model.checkpoint));
  return readTokenWindows(tokenizer, completedRecipe(model, settings), bosTokenOf(model.checkpoint), task, processes);
}

Result<void> checkProjectParts(const Project& project, const std::string& modelHash, const Statistics* statistics) {
  if (modelHash != project.modelHash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The model {} has changed since the plan was made (content {} where {} was planned for).",
                            project.model.string(), modelHash, project.modelHash),
                "Make the plan again for this model.");
  if (statistics && (statistics->modelHash != modelHash || statistics->tokensHash != project.tokensHash))
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("The statistics {} are not those that the plan was made from.", project.statistics.string()),
        "Make the plan again from these statistics.");
  return {};
}

std::filesystem::path factorsOf(const Project& project) {
  const std::filesystem::path file = project.factorsFor(fingerprint(project.plan));
  if (project.refined && file.empty())
    spdlog::warn("The refined factors {} are of an earlier plan; this one is computed as it was planned.",
                 project.refined->file.string());
  return file;
}

Result<ProjectParts> openProjectParts(const Project& project, const std::string& file, const ComputeSettings& settings,
                                      const Task& task, const ProcessGroup& processes) {
  ProjectParts parts;
  KVISTA_ASSIGN(parts.model, loadModel(project.model.string(), settings, task));
  KVISTA_ASSIGN(const std::string hash, contentHash(parts.model.checkpoint));
  KVISTA_CHECK(checkProjectParts(project, hash, nullptr));
  KVISTA_CHECK(checkPlanFits(project, parts.model.decoder->shape(), file));
  if (!project.statistics.empty()) {
    KVISTA_ASSIGN(parts.statistics, loadStatistics(project.statistics));
    KVISTA_CHECK(checkProjectParts(project, hash, &*parts.statistics));
  }
  KVISTA_ASSIGN(parts.factors, factorsOfPlan(*parts.model.decoder, parts.statistics ? &*parts.statistics : nullptr,
                                             project.plan, factorsOf(project), hash, task, processes));
  return parts;
}

Result<Subject> openSubject(const std::string& path, const ComputeSettings& settings, const Task& task,
                            const ProcessGroup& processes) {
  if (looksLikeProject(path)) return openProjectSubject(path, settings, task, processes);
  Subject subject;
  KVISTA_ASSIGN(OpenedModel opened, openModel(path));
  KVISTA_ASSIGN(subject.model, loadOpened(std::move(opened.checkpoint), settings, task));
  subject.recordedPolicy = std::move(opened.policy);
  if (opened.plan) {
    subject.plan = std::move(opened.plan);
    subject.transform = std::make_unique<PlanTransform>(*subject.plan, opened.factors, subject.model.decoder->shape(),
                                                        subject.model.decoder->options().device);
  }
  return subject;
}

std::vector<SubjectSide> sidesOf(const Subject& subject, const std::optional<PolicyUse>& policy) {
  std::vector<SubjectSide> sides;
  if (subject.project || !subject.transform) sides.push_back({"original", {}});
  if (subject.transform) sides.push_back({"plan", subject.transform.get()});
  if (policy) sides.push_back({"policy", CacheUse::under(*policy)});
  return sides;
}

Result<std::optional<PolicyUse>> policyOf(const Subject& subject, const std::string& line) {
  KVISTA_ASSIGN(const std::optional<PolicyRequest> asked, requestOf(askedPolicy(line, subject.recordedPolicy)));
  if (!asked) return std::nullopt;
  PolicyRequest request = *asked;
  if (subject.project || !subject.plan) {  // an export's own weights are not those that its gate was made for
    KVISTA_ASSIGN(request.model, contentHash(subject.model.checkpoint));
  }
  KVISTA_ASSIGN(PolicyUse use, policyOver(subject.transform.get(), std::move(request)));
  return use;
}

std::string titleOf(const PolicyUse& policy) {
  return fmt::format("{} under {}", policy.plan != nullptr ? "plan" : "original", toText(policy.request));
}

}  // namespace kvista
