// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/calibration/statistics.h"
#include "core/compress/factors.h"
#include "core/compress/plan_transform.h"
#include "core/distributed/process_group.h"
#include "core/evaluate/perplexity.h"
#include "core/io/checkpoint.h"
#include "core/model/decoder.h"
#include "core/text/tokenizer.h"

namespace kvista {

/// Where and how an engine computes, and what it calls itself.
struct EngineSettings {
  std::string version;
  std::string device = "cpu";  ///< As openDevice.
  at::ScalarType dtype = at::kFloat;
  bool readsStandardInput = false;  ///< A text may be "-": standard input carries no requests.
  bool streamLayers = false;        ///< As ComputeOptions::streamLayers.
  ProcessGroup processes = {};      ///< With whom methods that can share their work (experiment) do.
};

/// A model that somebody looks at: headers at first, weights and vocabulary at first need. `plan` is that of an export,
/// which computes with it and takes no other.
struct WorkModel {
  Checkpoint checkpoint;           ///< As it lies on disk.
  DecoderDescription description;  ///< Of the original architecture.
  std::string hash;                ///< contentHash.
  std::optional<CompressionPlan> plan;

  std::mutex mutex;  ///< Of what follows.
  std::shared_ptr<const Decoder> decoder;
  std::shared_ptr<const PlanTransform> ownTransform;

  std::mutex tokenizerMutex;  ///< Of the tokenizer: who looks at a model does not wait for its weights.
  std::shared_ptr<const Tokenizer> tokenizer;
};

/// Whose content an answer belongs to: a file that has changed since is another one.
struct FileStamp {
  std::filesystem::path path;
  std::uintmax_t bytes = 0;
  std::filesystem::file_time_type changed;
  bool operator==(const FileStamp&) const = default;
};

/// Where a plan's factors come from.
struct FactorSource {
  std::string statisticsPath;
  const Statistics* statistics = nullptr;  ///< May be null for methods of weights alone.
  std::string factorsPath;  ///< Of kept ones, such as refined factors, which take the place of statistics; or empty.
};

/// What an engine keeps between requests: opened models and statistics, the linear algebra of the last plans, results
/// that are asked for again. No edits: a plan comes with each request. All of it can be made again from files. Safe to
/// use from several threads.
class Workspace {
 public:
  explicit Workspace(EngineSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] const EngineSettings& settings() const { return settings_; }

  /// Opens a folder, a weight or index file, a GGUF file or an export; headers only.
  Result<std::shared_ptr<WorkModel>> model(const std::string& path);
  /// The same if it is open already and unchanged.
  std::shared_ptr<WorkModel> openedModel(const std::string& path);
  /// Weights, loaded at first need; refused (outOfMemory) when they will not fit.
  Result<std::shared_ptr<const Decoder>> decoder(WorkModel& model, const Task& task);
  Result<std::shared_ptr<const Tokenizer>> tokenizer(WorkModel& model);

  /// Errors (invalidArgument): statistics of another model.
  Result<std::shared_ptr<const Statistics>> statistics(const std::string& path, const WorkModel& model);
  /// Puts what was just computed where `statistics` finds it.
  void keepStatistics(const std::string& path, std::shared_ptr<const Statistics> statistics);

  /// Makes the model compute as planned; the last two are kept.
  Result<std::shared_ptr<const PlanTransform>> transform(WorkModel& model, const FactorSource& source,
                                                         const CompressionPlan& plan, const Task& task);

  /// The perplexity of a model as it is on windows of a hash; kept.
  Result<Perplexity> originalPerplexity(WorkModel& model, const at::Tensor& ids, const std::string& tokensHash,
                                        const Task& task);

  /// Answers by a key that says all they depend on.
  std::optional<nlohmann::json> result(const std::string& key);
  void keepResult(const std::string& key, nlohmann::json result);
  /// Path, size and time of a file as part of such a key; empty where there is none.
  static std::string stampOf(const std::string& path);

 private:
  template <class Value>
  using Recent = std::list<std::pair<std::string, Value>>;
  struct KeptModel {
    std::vector<FileStamp> stamps;
    std::shared_ptr<WorkModel> model;
  };
  struct KeptStatistics {
    std::string stamp;
    std::shared_ptr<const Statistics> statistics;
  };

  EngineSettings settings_;
  std::mutex mutex_;
  Recent<KeptModel> models_;
  Recent<KeptStatistics> statistics_;
  Recent<std::shared_ptr<const PlanTransform>> transforms_;
  Recent<Perplexity> originals_;
  Recent<nlohmann::json> results_;
};

}  // namespace kvista
