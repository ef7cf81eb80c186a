// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/base/amount.h"
#include "core/engine/measured_profiles.h"
#include "core/evaluate/decode_latency.h"
#include "core/model/device.h"

namespace kvista {
namespace {

struct Options {
  std::int64_t batch = 0, context = 0;
  DecodeRequest request;
  std::string device = "cpu", dtype = "bfloat16";
  int threads = 0;
  bool leaveProfile = false;
};

double microseconds(double seconds) { return seconds * 1e6; }

nlohmann::ordered_json toJson(const DecodeCase& measured) {
  nlohmann::ordered_json json = {{"batch", measured.batch},
                                 {"context", measured.context},
                                 {"full", {{"bytes", measured.fullBytes}, {"seconds", measured.fullSeconds}}},
                                 {"latents", nlohmann::ordered_json::array()}};
  for (const DecodeRow& row : measured.rows) {
    nlohmann::ordered_json entry = {{"name", row.name},
                                    {"headsPerGroup", row.headsPerGroup},
                                    {"rebuildsKeys", row.rebuildsKeys},
                                    {"keyRank", row.keyRank},
                                    {"valueRank", row.valueRank},
                                    {"bytes", row.bytes},
                                    {"share", static_cast<double>(row.bytes) / static_cast<double>(measured.fullBytes)},
                                    {"seconds", row.seconds},
                                    {"timesFaster", measured.fullSeconds / row.seconds},
                                    {"kernel", row.byKernel}};
    if (row.byKernel)
      entry["relativeError"] = row.error;
    else
      entry["reason"] = row.reason;
    json["latents"].push_back(std::move(entry));
  }
  return json;
}

void addTable(std::string& text, const DecodeCase& measured, const DecodeLatency& latency) {
  const auto line = [&](std::string_view name, std::int64_t bytes, double seconds, std::string_view more) {
    // What the copy's rate would need to read the bytes: no kernel is faster.
    text += fmt::format("  {:<28} {:>10} {:>10.1f} us {:>8.1f} us {:>6.2f}{}\n", name,
                        formatBytes(static_cast<double>(bytes)), microseconds(seconds),
                        microseconds(static_cast<double>(bytes) / latency.copyBytesPerSecond),
                        measured.fullSeconds / seconds, more);
  };
  text += fmt::format("\nbatch {}, context {}\n  {:<28} {:>10} {:>13} {:>11} {:>6}\n", measured.batch, measured.context,
                      "attention to", "bytes", "time", "to read", "times");
  line("the full cache", measured.fullBytes, measured.fullSeconds, "");
  for (const DecodeRow& row : measured.rows)
    line(row.name, row.bytes, row.seconds, row.byKernel ? fmt::format("   error {:.1e}", row.error) : "");
}

Result<Output> run(const Options& options, const Task& task) {
  if (options.threads > 0) at::set_num_threads(options.threads);
  DecodeRequest request = options.request;
  KVISTA_ASSIGN(request.device, openDevice(options.device));
  const bool onGpu = !request.device.is_cpu();
  const std::string& dtype = options.dtype;
  if (onGpu && dtype == "float32")
    return fail(ErrorCode::invalidArgument, "A cache has 16-bit numbers on a GPU, not float32.",
                "Give --dtype bfloat16 or float16.");
  request.dtype = dtype == "float32" ? at::kFloat : dtype == "bfloat16" ? at::kBFloat16 : at::kHalf;
  if (options.batch > 0 || options.context > 0)
    request.cases = {{std::max<std::int64_t>(1, options.batch), options.context > 0 ? options.context
                                                                : onGpu             ? 16384
                                                                                    : 512}};
  else if (onGpu)
    request.cases = {{8, 65536}, {1, 4096}, {1, 16384}};
  else
    request.cases = {{1, 512}};
  KVISTA_ASSIGN(const DecodeLatency latency, measureDecode(request, task));

  Output output;
  output.json = {{"device", latency.device},
                 {"where", request.device.str()},
                 {"dtype", dtype},
                 {"heads", request.heads},
                 {"queriesPerHead", request.queriesPerHead},
                 {"width", request.width},
                 {"kept", request.kept},
                 {"copyBytesPerSecond", latency.copyBytesPerSecond},
                 {"matrixFlopsPerSecond", latency.matrixFlopsPerSecond},
                 {"cases", nlohmann::ordered_json::array()}};
  output.text =
      fmt::format("{}, {}: {} of {}, {} each; copies {:.3g} TB/s, multiplies {:.3g} TFLOP/s\n", latency.device, dtype,
                  amount(request.heads, "head"), request.width, amount(request.queriesPerHead, "query", "queries"),
                  latency.copyBytesPerSecond / 1e12, latency.matrixFlopsPerSecond / 1e12);
  std::string reason;
  for (const DecodeCase& measured : latency.cases) {
    output.json["cases"].push_back(toJson(measured));
    addTable(output.text, measured, latency);
    for (const DecodeRow& row : measured.rows)
      if (!row.byKernel) reason = row.reason;
  }
  if (reason.empty() && options.batch == 0 && options.context == 0) {
    KVISTA_ASSIGN(const DeviceProfile profile, fittedProfile(request, latency));
    output.json["costModel"] = {{"name", profile.name},
                                {"bytesPerSecond", profile.bytesPerSecond},
                                {"flopsPerSecond", profile.flopsPerSecond},
                                {"launchSeconds", profile.launchSeconds}};
    output.text += fmt::format("\ncost model of {}: reads {:.3g} TB/s, rebuilds at {:.3g} TFLOP/s, {:.1f} us a call\n",
                               profile.name, profile.bytesPerSecond / 1e12, profile.flopsPerSecond / 1e12,
                               microseconds(profile.launchSeconds));
    if (!options.leaveProfile) {
      KVISTA_ASSIGN(const std::filesystem::path file, saveMeasuredProfile(profile));
      output.json["costModel"]["file"] = file.string();
      output.text += fmt::format("Plans are costed by it from now on; it is in {}.\n", file.string());
    }
  }
  if (!reason.empty())
    output.text += fmt::format(
        "\nLibtorch's operators stand in for kernels, as {}: these times say nothing about a GPU.\n", reason);
  return output;
}

}  // namespace

void addBenchDecode(CLI::App& bench, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(bench, invocation,
                           {"decode",
                            "Attention of one layer to a cache of latents beside attention to the full cache: time, "
                            "bytes, limits of the machine",
                            "kvista bench decode --device cuda --batch 8 --context 65536"},
                           options, run);
  const auto size = wholeNumber(1, std::int64_t{1} << 30);
  verb->add_option("--batch", options->batch,
                   "Sequences (default: 8 of 65,536 tokens and 1 of 4,096 and of 16,384; on a CPU 1 of 512)")
      ->check(wholeNumber(1, 65535));
  verb->add_option("--context", options->context, "Tokens of each in the cache")->check(size);
  verb->add_option("--heads", options->request.heads, "Heads of keys and of values")
      ->check(wholeNumber(1, 1024))
      ->capture_default_str();
  verb->add_option("--queries-per-head", options->request.queriesPerHead, "Heads of queries that share one of keys")
      ->check(wholeNumber(1, 64))
      ->capture_default_str();
  verb->add_option("--width", options->request.width, "Numbers a head; kernels rebuild keys of 64 and 128")
      ->check(oneOf({"32", "64", "96", "128", "256"}))
      ->capture_default_str();
  verb->add_option("--kept", options->request.kept, "Share of the numbers that 16-bit latents keep")
      ->check(positiveNumber(1))
      ->capture_default_str();
  verb->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  verb->add_option("--dtype", options->dtype, "Numbers of the cache; float32 on a CPU only")
      ->check(oneOf({"bfloat16", "float16", "float32"}))
      ->capture_default_str();
  verb->add_flag("--no-profile", options->leaveProfile,
                 "Do not keep the cost model's constants that follow from a run of all sizes on a GPU");
  verb->add_option("--threads", options->threads, "CPU threads (0: one a core)")->check(wholeNumber(0, 1024));
}

}  // namespace kvista
