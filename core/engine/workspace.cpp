// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/workspace.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/checkpoint/export_report.h"
#include "core/checkpoint/open_model.h"
#include "core/compress/factor_file.h"
#include "core/compress/planner.h"
#include "core/engine/memory_forecast.h"
#include "core/model/device.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeptModels = 2, kKeptStatistics = 2, kKeptTransforms = 2, kKeptOriginals = 64, kKeptResults = 16;

template <class List>
auto* lookUp(List& list, const std::string& key) {
  const auto found = std::ranges::find(list, key, [](const auto& entry) -> const std::string& { return entry.first; });
  if (found == list.end()) return static_cast<decltype(&found->second)>(nullptr);
  list.splice(list.begin(), list, found);
  return &list.front().second;
}

template <class List, class Value>
void keep(List& list, const std::string& key, Value value, std::size_t most) {
  std::erase_if(list, [&](const auto& entry) { return entry.first == key; });
  list.emplace_front(key, std::move(value));
  if (list.size() > most) list.pop_back();
}

std::string placeOf(const std::string& path) {
  std::error_code error;
  const fs::path place = fs::weakly_canonical(path, error);
  return error ? path : place.string();
}

FileStamp stamp(const fs::path& path) {
  std::error_code error;
  FileStamp result{path, 0, {}};
  if (fs::is_regular_file(path, error)) result.bytes = fs::file_size(path, error);
  result.changed = fs::last_write_time(path, error);
  return result;
}

std::vector<FileStamp> stampsOf(const Checkpoint& checkpoint) {
  std::vector<FileStamp> stamps;
  for (const fs::path& file : checkpoint.files) stamps.push_back(stamp(file));
  if (checkpoint.format != Checkpoint::Format::gguf)
    for (const char* name : {"config.json", "tokenizer.json"}) stamps.push_back(stamp(checkpoint.companions() / name));
  return stamps;
}

/// Configuration of the original architecture and, for an export, its plan.
Result<void> describeInto(WorkModel& model) {
  if (!isLatent(model.checkpoint)) {
    KVISTA_ASSIGN(model.description, describe(model.checkpoint));
    return {};
  }
  const nlohmann::json& config = model.checkpoint.config;
  const auto own = config.find("kvista");
  if (own == config.end() || !own->is_object() || !own->contains("base_config"))
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: config.json has no kvista.base_config.", model.checkpoint.path.string()),
                "Export the plan again, or get the whole folder as it was exported.");
  KVISTA_ASSIGN(model.description,
                describeConfig(own->at("base_config"),
                               fmt::format("kvista.base_config in config.json of {}", model.checkpoint.path.string())));
  KVISTA_ASSIGN(const nlohmann::json report, readReport(model.checkpoint.path));
  KVISTA_ASSIGN(model.plan, planOfReport(report, model.checkpoint.path));
  return {};
}

}  // namespace

std::string Workspace::stampOf(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  const FileStamp found = stamp(path);
  return fmt::format("{} {} {}", placeOf(path), found.bytes, found.changed.time_since_epoch().count());
}

std::shared_ptr<WorkModel> Workspace::openedModel(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const KeptModel* kept = lookUp(models_, placeOf(path));
  return kept && kept->stamps == stampsOf(kept->model->checkpoint) ? kept->model : nullptr;
}

Result<std::shared_ptr<WorkModel>> Workspace::model(const std::string& path) {
  if (auto opened = openedModel(path)) return opened;
  auto model = std::make_shared<WorkModel>();
  KVISTA_ASSIGN(model->checkpoint, openCheckpoint(path));
  KVISTA_CHECK(describeInto(*model));
  KVISTA_ASSIGN(model->hash, contentHash(model->checkpoint));
  const std::lock_guard lock(mutex_);
  keep(models_, placeOf(path), KeptModel{stampsOf(model->checkpoint), model}, kKeptModels);
  return model;
}

Result<std::shared_ptr<const Decoder>> Workspace::decoder(WorkModel& model, const Task& task) {
  const std::lock_guard lock(model.mutex);
  if (model.decoder) return model.decoder;
  ComputeOptions options;
  KVISTA_ASSIGN(options.device, openDevice(settings_.device));
  options.dtype = settings_.dtype;
  options.streamLayers = settings_.streamLayers;
  KVISTA_CHECK(
      checkMemory(weightBytes(model.checkpoint, model.description, options.device, options.dtype, options.streamLayers),
                  options.device, "The model's weights"));
  if (!model.plan) {
    KVISTA_ASSIGN(model.decoder, Decoder::load(model.checkpoint, options, task));
    return model.decoder;
  }
  KVISTA_ASSIGN(OpenedModel opened, openLatent(model.checkpoint, *model.plan));
  KVISTA_ASSIGN(auto decoder, Decoder::load(opened.checkpoint, options, task));
  model.ownTransform = std::make_shared<PlanTransform>(*model.plan, opened.factors, decoder->shape(), options.device);
  model.decoder = std::move(decoder);
  return model.decoder;
}

Result<std::shared_ptr<const Tokenizer>> Workspace::tokenizer(WorkModel& model) {
  const std::lock_guard lock(model.tokenizerMutex);
  if (!model.tokenizer) {
    KVISTA_ASSIGN(Tokenizer tokenizer, tokenizerOf(model.checkpoint));
    model.tokenizer = std::make_shared<Tokenizer>(std::move(tokenizer));
  }
  return model.tokenizer;
}

Result<std::shared_ptr<const Statistics>> Workspace::statistics(const std::string& path, const WorkModel& model) {
  std::shared_ptr<const Statistics> statistics;
  const std::string stamp = stampOf(path);
  {
    const std::lock_guard lock(mutex_);
    if (const KeptStatistics* kept = lookUp(statistics_, placeOf(path)); kept && kept->stamp == stamp)
      statistics = kept->statistics;
  }
  if (!statistics) {
    KVISTA_ASSIGN(Statistics loaded, loadStatistics(path));
    statistics = std::make_shared<const Statistics>(std::move(loaded));
    keepStatistics(path, statistics);
  }
  if (statistics->modelHash != model.hash)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The statistics {} are of another model (content {} where {} was expected).", path,
                            statistics->modelHash, model.hash),
                "Calibrate this model.");
  return statistics;
}

void Workspace::keepStatistics(const std::string& path, std::shared_ptr<const Statistics> statistics) {
  const std::lock_guard lock(mutex_);
  keep(statistics_, placeOf(path), KeptStatistics{stampOf(path), std::move(statistics)}, kKeptStatistics);
}

Result<std::shared_ptr<const PlanTransform>> Workspace::transform(WorkModel& model, const FactorSource& source,
                                                                  const CompressionPlan& plan, const Task& task) {
  const std::string key =
      fmt::format("{} {} {} {}", model.hash, source.statistics ? stampOf(source.statisticsPath) : "",
                  source.factorsPath.empty() ? "" : stampOf(source.factorsPath), fingerprint(plan));
  {
    const std::lock_guard lock(mutex_);
    if (const auto* kept = lookUp(transforms_, key)) return *kept;
  }
  KVISTA_ASSIGN(const auto decoder, this->decoder(model, task));
  KVISTA_ASSIGN(const PlanFactors factors,
                factorsOfPlan(*decoder, source.statistics, plan, source.factorsPath, model.hash, task));
  auto made = std::make_shared<const PlanTransform>(plan, factors, decoder->shape(), decoder->options().device);
  // One pass at a time, and what a stopped one has left is gone with it.
  if (!plan.sharedFrom.empty() || predictsLayers(plan)) return made;
  const std::lock_guard lock(mutex_);
  keep(transforms_, key, made, kKeptTransforms);
  return made;
}

Result<Perplexity> Workspace::originalPerplexity(WorkModel& model, const at::Tensor& ids, const std::string& tokensHash,
                                                 const Task& task) {
  const std::string key = fmt::format("{} {}", model.hash, tokensHash);
  {
    const std::lock_guard lock(mutex_);
    if (const Perplexity* kept = lookUp(originals_, key)) return *kept;
  }
  KVISTA_ASSIGN(const auto decoder, this->decoder(model, task));
  KVISTA_ASSIGN(Perplexity measured,
                measurePerplexity(*decoder, ids, model.ownTransform.get(), "measure the model", task));
  const std::lock_guard lock(mutex_);
  keep(originals_, key, measured, kKeptOriginals);
  return measured;
}

std::optional<nlohmann::json> Workspace::result(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const nlohmann::json* kept = lookUp(results_, key);
  return kept ? std::optional(*kept) : std::nullopt;
}

void Workspace::keepResult(const std::string& key, nlohmann::json result) {
  const std::lock_guard lock(mutex_);
  keep(results_, key, std::move(result), kKeptResults);
}

}  // namespace kvista
