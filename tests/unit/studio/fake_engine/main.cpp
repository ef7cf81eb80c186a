// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// An engine without a model, for tests of the window: `kvista-fake-engine [BEHAVIOUR]`. What it says of a model is made
// up: a small one, or with the behaviour `large` one of 32 layers of 32 heads of 128 channels. With `scarce` a plan
// does not fit into its memory; with `vague` it does not say what anything takes until it is cancelled.
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

#include "core/plan/budget.h"
#include "core/plan/plan_groups.h"
#include "core/plan/spectrum.h"
#include "core/protocol/frame.h"
#include "core/protocol/records.h"
#include "core/protocol/work_records.h"
#include "tests/unit/studio/made_up_model.h"

namespace {

using kvista::Error;
using kvista::ErrorCode;
using nlohmann::json;

void say(const json& message) {
  const auto frame = kvista::encodeFrame(message);
  std::fwrite(frame.data(), 1, frame.size(), stdout);
  std::fflush(stdout);
}

/// Half an answer, then the end.
[[noreturn]] void dieWithin(const json& message) {
  const auto frame = kvista::encodeFrame(message);
  std::fwrite(frame.data(), 1, frame.size() / 2, stdout);
  std::fflush(stdout);
  ::raise(SIGKILL);
  std::abort();
}

kvista::HelloRecord hello(std::string_view behaviour) {
  kvista::HelloRecord record{"kvista", "0.1.0",       kvista::kProtocolVersion, std::to_string(::getpid()), 0,
                             "2.11.0", "made-up-host"};
  if (behaviour == "old") {
    record.version = "0.0.1";
    record.protocol = 0;
  }
  if (behaviour == "new") record.protocol = kvista::kProtocolVersion + 1;
  if (behaviour == "other") record.program = "parrot";
  return record;
}

kvista::Matrix madeUpMatrix(int rows, int columns) {
  kvista::Matrix matrix{rows, columns, {}};
  for (int i = 0; i < rows * columns; ++i) matrix.values.push_back(0.001F * static_cast<float>(1 + i % 97));
  return matrix;
}

/// Of the large model with codes' distortions, as the planner measures them.
json units(const kvista::CompressionPlan& plan, bool large) {
  auto units = kvista::test::madeUpSpectra(plan);
  if (!large) return kvista::unitsToJson(units);
  const std::vector<int>& widths = kvista::standardWidths(kvista::Storage::coded);
  for (kvista::BudgetUnit& unit : units) {
    unit.spectrum.widths = widths;
    for (std::size_t i = 0; i < unit.spectrum.eigenvalues.size(); ++i)
      for (const int width : widths)
        unit.spectrum.distortion.push_back(static_cast<float>(kvista::gaussianDistortion(width)));
  }
  return kvista::unitsToJson(units);
}

/// Pairs neighbouring heads, whatever the wish.
json madePlan(const kvista::PlanWish& wish, const kvista::ModelShape& shape, bool large) {
  kvista::HeadGroups pairs;
  for (int head = 0; head + 1 < shape.kvHeads; head += 2) pairs.push_back({head, head + 1});
  kvista::PlannedPlan planned;
  planned.plan.method = wish.method;
  planned.plan.grouping = wish.grouping.value_or("greedy");
  planned.plan.allocator = wish.allocator.value_or("waterline");
  planned.plan.target = wish.target;
  for (int layer = 0; layer < shape.layers; ++layer)
    for (kvista::Group& group : kvista::groupsOf(shape, layer, pairs, pairs)) planned.plan.groups.push_back(group);
  planned.achievedBytes = kvista::bytesPerToken(planned.plan);
  return {{"planned", toJson(planned)}, {"units", units(planned.plan, large)}};
}

/// What it says of the model; null for methods that are about something else.
json ofModel(const std::string& method, const json& params, bool large) {
  const std::string path = params.value(method == "open" ? "path" : "model", "");
  const kvista::ModelRecord model = large ? kvista::test::madeUpModel(32, 32, 128) : kvista::test::madeUpModelAt(path);
  const kvista::ModelShape& shape = model.shape;
  json list = json::array();
  if (method == "open") {
    kvista::ModelRecord opened = model;
    opened.path = path;
    if (path.find("chat") != std::string::npos) opened.chatTemplate = "chatml";
    if (path.find("strange") != std::string::npos) opened.chatTemplateProblem = "The model's chat template is strange.";
    return toJson(opened);
  }
  if (method == "openStatistics") {
    kvista::StatisticsRecord statistics = kvista::test::madeUpStatistics();
    statistics.path = params.at("path");
    statistics.modelHash = model.hash;
    return toJson(statistics);
  }
  if (method == "similarity") {
    for (const auto& record : kvista::test::madeUpSimilarities(shape)) list.push_back(toJson(record));
    return list;
  }
  if (method == "layerSpectra") {
    for (int layer = 0; layer < shape.layers; ++layer)
      for (const kvista::Side side : {kvista::Side::key, kvista::Side::value})
        list.push_back(toJson(kvista::LayerSpectrumRecord{
            layer,
            side,
            {.normalisedEffectiveRank = 0.5, .energyRank99 = 100},
            std::vector<float>(static_cast<std::size_t>(shape.kvHeads * shape.headDim), 1.0F)}));
    return list;
  }
  if (method == "calibrate") {
    kvista::StatisticsRecord statistics = kvista::test::madeUpStatistics();
    statistics.path = params.at("output");
    return toJson(statistics);
  }
  if (method == "makePlan") {
    const auto wish = kvista::read<kvista::PlanWish>(params.at("wish"));
    return wish ? madePlan(*wish, shape, large) : json();
  }
  if (method == "planErrors") {
    const kvista::Matrix kv = madeUpMatrix(shape.layers, shape.kvHeads),
                         query = madeUpMatrix(shape.layers, shape.queryHeads);
    return toJson(kvista::PlanErrorsRecord{kv, kv, kv, kv, query, query});
  }
  return nullptr;
}

/// Both sides say how many turns came before, and what they themselves said last.
json generated(const json& params) {
  const auto said = [&](const char* turns, const char* side) {
    const json list = params.value(turns, json::array());
    const std::string last = list.empty() ? std::string("nothing") : list.back().at("content").get<std::string>();
    return std::string(side) + " after " + std::to_string(list.size() / 2) + " turns, last: " + last;
  };
  json answer = {{"original", toJson(kvista::GeneratedPiece{said("turns", "original"), 10, 4000, false})},
                 {"plan", toJson(kvista::GeneratedPiece{said("planTurns", "plan"), 10, 500, true})}};
  if (params.contains("policy"))
    answer["policy"] = toJson(
        kvista::GeneratedPiece{said("policyTurns", params["policy"].get<std::string>().c_str()), 10, 250, true, true});
  return answer;
}

void answer(const json& request, std::string_view behaviour) {
  const auto id = request.at("id").get<std::int64_t>();
  const std::string method = request.at("method");
  const json& params = request.at("params");
  if (method == "hello") return say(kvista::resultMessage(id, toJson(hello(behaviour))));
  if (method == "echo") return say(kvista::resultMessage(id, params));
  if (method == "fail")
    return say(kvista::errorMessage(id, {ErrorCode::numerical, "It does not converge.", "", "Try again."}));
  if (method == "steps") {
    for (int i = 1; i <= params.at("steps").get<int>(); ++i) say(kvista::progressMessage(id, {{"done", i}}));
    return say(kvista::resultMessage(id, "done"));
  }
  if (method == "hold") return;  // Until it is cancelled.
  if (method == "cancel") {
    say(kvista::errorMessage(params.at("id"), {ErrorCode::cancelled, "Cancelled.", "", ""}));
    return say(kvista::resultMessage(id, nullptr));
  }
  if (method == "die") dieWithin(kvista::resultMessage(id, std::string(1000, 'x')));
  if (method == "dieOnce") {
    const std::filesystem::path mark = params.at("mark").get<std::string>();
    if (std::filesystem::exists(mark)) return say(kvista::resultMessage(id, "lives"));
    std::ofstream(mark) << "died";
    dieWithin(kvista::resultMessage(id, std::string(1000, 'x')));
  }
  if (method == "exit") std::exit(params.at("code"));
  if (method == "babble") {
    std::fputs("Segmentation fault (core dumped)\n", stdout);
    std::fflush(stdout);
    return;
  }
  if (method == "odd") return say({{"id", id}});
  if (method == "decompose") {
    auto plan = kvista::planFromJson(params.at("plan"));
    if (!plan) return say(kvista::errorMessage(id, plan.error()));
    return say(kvista::resultMessage(id, units(*plan, behaviour == "large")));
  }
  if (method == "forecastMemory") {
    if (behaviour == "vague") return;
    const bool tooMuch = behaviour == "scarce" && params.at("method") == "makePlan";
    return say(
        kvista::resultMessage(id, json::array({toJson(kvista::MemoryForecast{
                                      "CPU, 2 cores", tooMuch ? 20'000'000'000 : 1'000'000'000, 8'000'000'000})})));
  }
  if (method == "generate") return say(kvista::resultMessage(id, generated(params)));
  if (method == "checkPolicy") {
    const auto line = params.at("policy").get<std::string>();
    return say(line.starts_with("snapkv") ? kvista::resultMessage(id, line)
                                          : kvista::errorMessage(id, {ErrorCode::invalidArgument,
                                                                      "There is no policy '" + line + "'.", "", ""}));
  }
  if (method == "list") {
    kvista::Catalogue catalogue;
    catalogue.measures = {{"cka-sink-free", "Made up", "a b", "none", "Nobody"},
                          {"cosine", "Made up too", "a c", "none", "Nobody else"}};
    catalogue.policies = {{"snapkv", "Made up", "snapkv share=0.5", "", ""}};
    catalogue.devices = kvista::deviceProfiles();
    for (const char* name : {"coded", "joint"}) catalogue.methods.emplace_back().choice.name = name;
    return say(kvista::resultMessage(id, toJson(catalogue)));
  }
  if (const json result = ofModel(method, params, behaviour == "large"); !result.is_null())
    return say(kvista::resultMessage(id, result));
  say(kvista::errorMessage(id, {ErrorCode::invalidArgument, "There is no method '" + method + "'.", "", ""}));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view behaviour = argc > 1 ? argv[1] : "";
  if (behaviour == "banner") std::puts("Welcome to the cluster! Please read the news.");
  if (behaviour == "refuse") {
    std::fputs("kvista: there is no verb 'engine'\n", stderr);
    return 2;
  }
  kvista::FrameReader reader;
  std::array<std::uint8_t, 65536> buffer{};
  for (;;) {
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) {
      while (behaviour == "stubborn") ::pause();  // As one does that is deep in a computation.
      return 0;
    }
    if (behaviour == "silent") continue;
    reader.append(std::span(buffer).first(static_cast<std::size_t>(size)));
    for (;;) {
      const auto message = reader.next();
      if (!message) return 3;
      if (!*message) break;
      answer(**message, behaviour);
    }
  }
}
