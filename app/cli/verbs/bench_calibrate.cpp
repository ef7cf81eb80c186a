// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ops/randint.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include "app/cli/memory.h"
#include "app/cli/model.h"
#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/calibration/statistics_pass.h"
#include "core/checkpoint/export_checkpoint.h"
#include "core/checkpoint/make_model.h"
#include "core/compress/planner.h"
#include "core/io/temporary_paths.h"
#include "core/model/device.h"
#include "core/model/device_timer.h"
#include "core/model/torch_guard.h"

namespace kvista {
namespace {

struct Options {
  ModelRequest shape;
  int layers = 0;
  std::int64_t windows = 64, window = 2048;
  PlanRequest plan;
  double kept = 0.3;
  std::string folder;
  bool leaveUnwritten = false;
  ComputeSettings compute;
};

/// A folder that is gone when its owner is.
class ScratchFolder {
 public:
  static Result<ScratchFolder> in(const std::filesystem::path& parent) {
    std::string name = (parent / "kvista-bench-XXXXXX").string();
    if (!mkdtemp(name.data()))
      return fail(ErrorCode::io, fmt::format("No folder can be made in {}.", parent.string()),
                  "Give one that is there and can be written to with --folder.");
    registerTemporaryPath(name);
    return ScratchFolder(name);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    if (path_.empty()) return;
    std::error_code ignored;  // what a system keeps in its folder for temporary files is its own business
    std::filesystem::remove_all(path_, ignored);
    forgetTemporaryPath(path_);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Seconds of each stage, in the order in which they came; a stage begins when it is named, here or by what runs.
class StageClock {
 public:
  void begin(const std::string& stage) {
    const auto now = std::chrono::steady_clock::now();
    if (!stages_.empty()) stages_.back().second += std::chrono::duration<double>(now - since_).count();
    since_ = now;
    if (stages_.empty() || stages_.back().first != stage) stages_.emplace_back(stage, 0);
  }
  [[nodiscard]] Task watched(const Task& task) {
    return {task.stop, [this, &task](const ProgressReport& report) {
              begin(report.stage);
              if (task.report) task.report(report);
            }};
  }
  [[nodiscard]] const std::vector<std::pair<std::string, double>>& stages() const { return stages_; }
  [[nodiscard]] double of(std::string_view name) const {
    double sum = 0;
    for (const auto& [stage, seconds] : stages_) sum += stage == name ? seconds : 0;
    return sum;
  }

 private:
  std::vector<std::pair<std::string, double>> stages_;
  std::chrono::steady_clock::time_point since_;
};

/// Operations of the matrices that a pass with gradients at keys and values multiplies with: once forward, once
/// backward. What attention, norms and the sums themselves take is not counted.
double passOperations(const DecoderDescription& description, std::int64_t tokens) {
  const ModelShape& shape = description.shape;
  // The head multiplies with the embedding.
  const bool isTied = description.head.linear.weight == description.embedding.weight;
  const double lookedUp = isTied ? 0 : static_cast<double>(shape.vocabulary) * shape.hiddenSize;
  return 2.0 * 2.0 * (static_cast<double>(shape.parameters) - lookedUp) * static_cast<double>(tokens);
}

Result<Output> run(const Options& options, const Task& task) {
  ModelRequest shape = options.shape;
  if (options.layers > 0) shape.layers = options.layers;
  PlanRequest planRequest = options.plan;
  planRequest.keepBases = true;
  planRequest.target = {Target::Kind::keptFraction, options.kept};
  KVISTA_ASSIGN(const c10::Device device,
                openDevice(options.compute.device));  // before gigabytes are written for nothing
  KVISTA_ASSIGN(const ScratchFolder scratch,
                ScratchFolder::in(options.folder.empty() ? std::filesystem::temp_directory_path()
                                                         : std::filesystem::path(options.folder)));
  shape.target = scratch.path() / "model";
  KVISTA_CHECK(findMethod(planRequest.method));
  KVISTA_ASSIGN(const MadeModel made, makeModel(shape, task));
  KVISTA_CHECK(draftPlan(planRequest, made.shape));
  KVISTA_ASSIGN(const double matrixRate,
                DeviceTimer(device).matrixRate(options.compute.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat, task));

  StageClock clock;
  const Task watched = clock.watched(task);
  clock.begin("load");
  KVISTA_ASSIGN(const LoadedModel model, loadModel(shape.target.string(), options.compute, watched));
  const Decoder& decoder = *model.decoder;
  TokenWindows windows;
  KVISTA_ASSIGN(windows.ids, guardTorch("Drawing random tokens", [&]() -> Result<at::Tensor> {
                  return at::randint(decoder.shape().vocabulary, {options.windows, options.window}, at::kLong);
                }));
  windows.hash = "random";
  std::unique_ptr<BegunExport> begun;
  if (!options.leaveUnwritten) {
    const ExportPlace place{.form = "dense", .dtype = DataType::bf16, .target = scratch.path() / "dense"};
    KVISTA_ASSIGN(begun, BegunExport::begin(model.checkpoint, decoder.description(), place));
  }
  clock.begin("calibrate");
  StatisticsOptions statisticsOptions;
  statisticsOptions.tokensPerBatch = decoder.tokensPerStep();
  KVISTA_ASSIGN(const Statistics statistics, runStatisticsPass(decoder, "random", windows, statisticsOptions, watched));
  const double passSeconds = statistics.seconds;
  clock.begin("plan");
  KVISTA_ASSIGN(const PlanWithSpectra plan, makePlan(decoder, &statistics, planRequest, watched));
  const PlannedPlan& planned = plan.planned;
  clock.begin("decompose");
  KVISTA_ASSIGN(const PlanFactors factors, makeFactors(decoder, &statistics, plan, watched));
  if (!options.leaveUnwritten) {
    clock.begin("write");
    ExportRequest request{model.checkpoint, decoder, planned.plan, factors};
    KVISTA_CHECK(finishExport(*begun, request, watched));
  }
  clock.begin("");

  double total = 0;
  for (const auto& [stage, seconds] : clock.stages()) total += seconds;
  const std::int64_t tokens = options.windows * options.window;
  const double rate = passOperations(decoder.description(), tokens) / passSeconds;
  const double diskShare = clock.of("write") / total;
  Output output;
  output.json = {{"device", nameOfDevice(device)},
                 {"dtype", options.compute.dtype},
                 {"shape", shape.shape},
                 {"layers", decoder.shape().layers},
                 {"windows", options.windows},
                 {"window", options.window},
                 {"method", options.plan.method},
                 {"kept", options.kept},
                 {"seconds", total},
                 {"stages", nlohmann::ordered_json::array()},
                 {"passSeconds", passSeconds},
                 {"tokensPerSecond", static_cast<double>(tokens) / passSeconds},
                 {"matrixFlopsPerSecond", matrixRate},
                 {"achievedFlopsPerSecond", rate},
                 {"matrixShare", rate / matrixRate},
                 {"diskShare", diskShare},
                 {"bytesWritten", options.leaveUnwritten ? 0 : made.weightBytes},
                 {"peakMemoryBytes", peakMemoryBytes()},
                 {"peakDeviceMemoryBytes", peakMemoryOf(device)}};
  output.text = fmt::format("{}, {}: {} with {}, {} of {}, {} at {} of the numbers\n\n", nameOfDevice(device),
                            options.compute.dtype, shape.shape, amount(decoder.shape().layers, "layer"),
                            amount(options.windows, "window"), amount(options.window, "token"), options.plan.method,
                            options.kept);
  for (const auto& [stage, seconds] : clock.stages()) {
    if (stage.empty()) continue;
    output.json["stages"].push_back({{"name", stage}, {"seconds", seconds}});
    output.text += fmt::format("  {:<32} {:>8.1f} s\n", stage, seconds);
  }
  output.text += fmt::format(
      "  {:<32} {:>8.1f} s, of which writing {:.0f} %\n\nThe pass: {:.0f} tokens/s, {:.0f} TFLOP/s of {:.0f} that "
      "large products reach here ({:.0f} %). Peak memory {} on the device, {} in the program.\n",
      "all", total, diskShare * 100, static_cast<double>(tokens) / passSeconds, rate / 1e12, matrixRate / 1e12,
      rate / matrixRate * 100, formatBytes(static_cast<double>(peakMemoryOf(device))), formatBytes(peakMemoryBytes()));
  return output;
}

}  // namespace

void addBenchCalibrate(CLI::App& bench, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  options->shape.shape = "llama-2-7b";
  options->plan.method = "separate";
  options->compute.device = "cuda";
  options->compute.dtype = "bfloat16";
  CLI::App* verb = addVerb(
      bench, invocation,
      {"calibrate", "Time a model of a published shape from loading to a written dense checkpoint, stage by stage",
       "kvista bench calibrate --shape llama-2-7b --windows 256"},
      options, run);
  verb->add_option("--shape", options->shape.shape, "See `kvista list shapes`")
      ->check(oneOf(namesOf(publishedShapes())))
      ->capture_default_str();
  verb->add_option("--layers", options->layers, "Only this many layers (default: all)")->check(wholeNumber(1, 10'000));
  verb->add_option("--windows", options->windows, "Windows of random tokens")
      ->check(wholeNumber(1))
      ->capture_default_str();
  verb->add_option("--window", options->window, "Tokens a window")->check(wholeNumber(2))->capture_default_str();
  verb->add_option("--method", options->plan.method, "A method that a dense checkpoint can hold")
      ->capture_default_str();
  verb->add_option("--keep", options->kept, "Kept fraction of numbers")
      ->check(positiveNumber(1))
      ->capture_default_str();
  verb->add_flag("--virtual", options->shape.isVirtual,
                 "Make the weights when they are read, for models larger than the disk");
  verb->add_flag("--no-write", options->leaveUnwritten, "Stop before the checkpoint is written");
  verb->add_option(
      "--folder", options->folder,
      "Where the model and the checkpoint are written and removed again (default: the system's for temporary files)");
  addComputeOptions(verb, options->compute);
  addGradientOptions(verb, options->compute);
}

}  // namespace kvista
