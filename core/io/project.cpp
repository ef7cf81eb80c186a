// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/project.h"

#include <fmt/format.h>

#include <fstream>

#include "core/io/atomic_file.h"
#include "core/io/file_descriptor.h"
#include "core/io/json_file.h"
#include "core/plan/cost.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "kvista-project";
constexpr int kVersion = 1;
constexpr const char* kGiveProject = "Give a .kvista file that `kvista plan -o` wrote.";
constexpr const char* kPlanAgain = "The file is damaged: make the plan again, or take an earlier copy of the file.";

std::string relativeTo(const fs::path& folder, const fs::path& path) {
  if (path.empty() || folder.empty()) return path.generic_string();
  const fs::path relative = path.lexically_relative(folder);
  return (relative.empty() ? path : relative).generic_string();
}

fs::path absoluteFrom(const fs::path& folder, const std::string& path) {
  return path.empty() ? fs::path() : (folder / fs::path(path)).lexically_normal();
}

void put(nlohmann::json& json, const char* key, const std::optional<double>& value) {
  if (value) json[key] = *value;
}

Result<CompressionPlan> planOf(const nlohmann::json& json, const fs::path& file) {
  auto plan = planFromJson(json);
  if (plan) return plan;
  return fail(ErrorCode::corruptFile, fmt::format("In the project {}: {}", file.string(), plan.error().message),
              kPlanAgain);
}

std::optional<double> take(nlohmann::json& json, const char* key) {
  if (!json.contains(key)) return std::nullopt;
  const auto value = json.at(key).get<double>();
  json.erase(key);
  return value;
}

/// Reads a field and removes it, so that what is left is what this version does not know.
template <class T>
T take(nlohmann::json& json, const char* key, T fallback) {
  if (!json.contains(key)) return fallback;
  T value = json.at(key).get<T>();
  json.erase(key);
  return value;
}

}  // namespace

CostSettings viewedCost(const nlohmann::json& view) {
  CostSettings cost;
  cost.device = deviceProfiles().front().name;
  const auto found = view.find("cost");
  if (found == view.end() || !found->is_object()) return cost;
  const auto positive = [&](const char* field, std::int64_t most) -> std::optional<std::int64_t> {
    const auto value = found->find(field);
    if (value == found->end() || !value->is_number_integer()) return std::nullopt;
    const auto number = value->get<std::int64_t>();
    return number >= 1 && number <= most ? std::optional(number) : std::nullopt;
  };
  if (const auto device = found->find("device"); device != found->end() && device->is_string())
    cost.device = device->get<std::string>();
  cost.context = positive("context", std::int64_t{1} << 40).value_or(cost.context);
  cost.batch = static_cast<int>(positive("batch", 1 << 24).value_or(cost.batch));
  return cost;
}

std::string viewedMeasure(const nlohmann::json& view) {
  const auto found = view.find("measure");
  return found != view.end() && found->is_string() ? found->get<std::string>() : kUsualMeasure;
}

bool looksLikeProject(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return false;
  std::ifstream stream(file, std::ios::binary);
  std::string beginning(256, '\0');
  stream.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return beginning.find(kFormat) != std::string::npos;
}

Result<Project> loadProject(const fs::path& file) {
  if (const std::string_view other = kindOfOtherThanFile(file); !other.empty())
    return fail(ErrorCode::io, fmt::format("{} is {}, not a KVista project.", file.string(), other), kGiveProject);
  KVISTA_ASSIGN(nlohmann::json json, readJsonFile(file));
  return projectFromJson(std::move(json), file);
}

Result<Project> projectFromJson(nlohmann::json json, const fs::path& file) {
  const std::string hint = kGiveProject;
  if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat)
    return fail(ErrorCode::corruptFile, fmt::format("{} is not a KVista project.", file.string()), hint);
  const fs::path folder = fs::absolute(file).parent_path();
  Project project;
  try {
    json.erase("format");
    if (const int version = take(json, "version", 0); version != kVersion)
      return fail(ErrorCode::corruptFile,
                  fmt::format("The project {} has version {}; this program reads version {}.", file.string(), version,
                              kVersion),
                  "Open it with the version of KVista that wrote it, or make the plan again.");
    project.model = absoluteFrom(folder, json.at("model").at("path").get<std::string>());
    project.modelHash = json.at("model").at("hash").get<std::string>();
    json.erase("model");
    if (json.contains("statistics")) {
      project.statistics = absoluteFrom(folder, json.at("statistics").at("path").get<std::string>());
      project.tokensHash = json.at("statistics").at("tokensHash").get<std::string>();
      json.erase("statistics");
    }
    if (!json.contains("plan"))
      return fail(ErrorCode::corruptFile, fmt::format("The project {} holds no plan.", file.string()), hint);
    KVISTA_ASSIGN(project.plan, planOf(json.at("plan"), file));
    json.erase("plan");
    project.requestedBytes = take(json, "requestedBytes", std::int64_t{0});
    project.predictedLoss = take(json, "predictedLoss");
    project.correctedLoss = take(json, "correctedLoss");
    project.baseLoss = take(json, "baseLoss", 0.0);
    if (const nlohmann::json refined = take(json, "refined", nlohmann::json()); !refined.is_null())
      project.refined = RefinedFactors{absoluteFrom(folder, refined.at("path").get<std::string>()),
                                       refined.at("planFingerprint").get<std::string>(),
                                       refined.at("texts").get<std::vector<std::string>>(),
                                       refined.at("steps").get<int>(),
                                       refined.at("divergenceBefore").get<double>(),
                                       refined.at("divergenceAfter").get<double>()};
    for (const nlohmann::json& entry : take(json, "results", nlohmann::json::array()))
      project.results.push_back({entry.at("text").get<std::string>(), entry.at("tokensHash").get<std::string>(),
                                 entry.at("planFingerprint").get<std::string>(),
                                 entry.at("perplexityBefore").get<double>(), entry.at("perplexityAfter").get<double>(),
                                 entry.value("predictions", std::int64_t{0})});
    for (nlohmann::json& entry : take(json, "tried", nlohmann::json::array())) {
      TriedPlan tried;
      tried.name = entry.at("name").get<std::string>();
      KVISTA_ASSIGN(tried.plan, planOf(entry.at("plan"), file));
      tried.requestedBytes = take(entry, "requestedBytes", std::int64_t{0});
      tried.predictedLoss = take(entry, "predictedLoss");
      tried.correctedLoss = take(entry, "correctedLoss");
      project.tried.push_back(std::move(tried));
    }
    project.notes = take(json, "notes", std::string());
    project.view = take(json, "view", nlohmann::json::object());
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::corruptFile,
                fmt::format("The project {} is damaged: a field is missing or has the wrong type.", file.string()),
                kPlanAgain);
  }
  project.unknown = std::move(json);
  return project;
}

nlohmann::json toJson(const Project& project, const fs::path& folder) {
  nlohmann::json json = project.unknown;
  json["format"] = kFormat;
  json["version"] = kVersion;
  json["model"] = {{"path", relativeTo(folder, project.model)}, {"hash", project.modelHash}};
  if (!project.statistics.empty())
    json["statistics"] = {{"path", relativeTo(folder, project.statistics)}, {"tokensHash", project.tokensHash}};
  json["plan"] = toJson(project.plan);
  json["requestedBytes"] = project.requestedBytes;
  put(json, "predictedLoss", project.predictedLoss);
  put(json, "correctedLoss", project.correctedLoss);
  json["baseLoss"] = project.baseLoss;
  if (const auto& refined = project.refined)
    json["refined"] = {{"path", relativeTo(folder, refined->file)},
                       {"planFingerprint", refined->planFingerprint},
                       {"texts", refined->texts},
                       {"steps", refined->steps},
                       {"divergenceBefore", refined->divergenceBefore},
                       {"divergenceAfter", refined->divergenceAfter}};
  json["results"] = nlohmann::json::array();
  for (const MeasuredResult& result : project.results)
    json["results"].push_back({{"text", result.text},
                               {"tokensHash", result.tokensHash},
                               {"planFingerprint", result.planFingerprint},
                               {"perplexityBefore", result.perplexityBefore},
                               {"perplexityAfter", result.perplexityAfter}});
  for (std::size_t i = 0; i < project.results.size(); ++i)
    if (project.results[i].predictions > 0) json["results"][i]["predictions"] = project.results[i].predictions;
  for (const TriedPlan& tried : project.tried) {
    nlohmann::json entry = {
        {"name", tried.name}, {"plan", toJson(tried.plan)}, {"requestedBytes", tried.requestedBytes}};
    put(entry, "predictedLoss", tried.predictedLoss);
    put(entry, "correctedLoss", tried.correctedLoss);
    json["tried"].push_back(std::move(entry));
  }
  if (!project.notes.empty()) json["notes"] = project.notes;
  if (!project.view.empty()) json["view"] = project.view;
  return json;
}

Result<void> checkPlanFits(const Project& project, const ModelShape& shape, const fs::path& file) {
  const std::vector<std::string> problems = validate(project.plan, shape);
  if (problems.empty()) return {};
  return fail(ErrorCode::corruptFile,
              fmt::format("In the project {}: The plan does not fit the model: {}", file.string(), problems.front()),
              kPlanAgain);
}

Result<void> saveProject(const fs::path& file, const Project& project) {
  return writeFileAtomically(file, toJson(project, fs::absolute(file).parent_path()).dump(1) + "\n");
}

}  // namespace kvista
