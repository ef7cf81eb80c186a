// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/plan/budget.h"
#include "core/plan/matrix.h"
#include "core/plan/plan.h"
#include "core/plan/retrieval_kind.h"

/// What engine and window tell each other: plain values and their JSON. Reading checks types, sizes and ranges and
/// names the field (invalidArgument): either side may be of another version, or talk nonsense. protocol.md lists the
/// methods.
namespace kvista {

struct HelloRecord {
  std::string program;  ///< "kvista"
  std::string version;
  int protocol = 0;
  std::string device;  ///< What computes, in words: "CPU, 2 cores", "NVIDIA H200, 139 GiB".
  std::int64_t memoryBytes = 0;
  std::string torch = {};       ///< Version of libtorch.
  std::string host = {};        ///< Name of the machine.
  std::string dataFolder = {};  ///< Where it keeps statistics and factors of projects without a place of their own.
  bool operator==(const HelloRecord&) const = default;
};

/// One thing to choose from, with what its tooltip says.
struct Choice {
  std::string name;
  std::string summary;
  std::string formula;  ///< May be empty.
  std::string unit;     ///< May be empty.
  std::string source;   ///< Paper and section; may be empty.
  /// Of a policy that needs a plan: the method that it was published with. Empty: it needs none.
  std::string planMethod = {};
  bool operator==(const Choice&) const = default;
};

struct MethodChoice {
  Choice choice;
  std::string grouping, allocator;
  Metric metric = Metric::fisher;
  KeyPosition keyPosition = KeyPosition::beforeRope;
  Storage storage = Storage::coded;
  std::vector<int> widths;
  int rankStep = 8;
  bool weightsOnly = false;
  bool sharesLayers = false;  ///< Finds itself which layers read the cache of another.
  int chain = 1;              ///< So many layers are a chain unless told otherwise, or all where there are fewer.
  bool trellis = false;       ///< Its codes go through a trellis unless told otherwise.
  bool tokenNumbers = false;  ///< The first layer stores numbers of tokens unless told otherwise.
  /// Why plans of the method cannot be so, as in "has no bases"; empty: they can.
  std::string notCompensated = {}, notCentred = {}, notUnwhitened = {}, notUncalibrated = {}, notShared = {};
  bool operator==(const MethodChoice&) const = default;
};

/// Everything there is to choose from.
struct Catalogue {
  std::vector<MethodChoice> methods;
  std::vector<Choice> measures, groupings, allocators, forms, policies;
  std::vector<DeviceProfile> devices;
};

struct ModelRecord {
  std::string path;  ///< As the engine sees it.
  std::string hash;  ///< contentHash of the checkpoint.
  ModelShape shape;
  std::string storageType;  ///< "bf16", "Q4_1", ...: what most weights are stored as.
  std::int64_t fileBytes = 0;
  std::int64_t maximumPositions = 0;
  std::string rope;  ///< In words.
  bool hasTokenizer = false;
  std::string chatTemplate;         ///< Its name when it is one that `generate` knows ("chatml", ...); empty otherwise.
  std::string chatTemplateProblem;  ///< Why the template that the model has is not used; empty: it has none, or it is.
  std::vector<std::string> problems;
  bool operator==(const ModelRecord&) const = default;
};

/// A path as the engine's machine has it.
struct PathRecord {
  enum class Kind { missing, file, folder };
  std::string path;  ///< Absolute, a leading ~ replaced.
  Kind kind = Kind::missing;
  bool readable = false, writable = false;     ///< Of what is missing: whether it could be made.
  std::int64_t bytes = 0;                      ///< Of a file.
  std::optional<std::int64_t> freeBytes = {};  ///< Where it lies, or would.
  std::string problem = {}, hint = {};         ///< Why it will not do; empty: it will.
  bool operator==(const PathRecord&) const = default;
};

/// What a work would take of one memory, and what that has.
struct MemoryForecast {
  std::string device;  ///< In words, as HelloRecord's.
  std::int64_t bytesNeeded = 0;
  std::optional<std::int64_t> bytesFree;  ///< Absent where the system does not say.
  bool operator==(const MemoryForecast&) const = default;
};

struct StatisticsRecord {
  std::string path;
  std::string modelHash, tokensHash;
  std::vector<std::string> texts;
  std::int64_t tokens = 0, windows = 0, window = 0;
  std::string device;
  double seconds = 0;
  LossModel loss;
  std::optional<std::uint64_t> seed = {};  ///< That drew the windows; absent: they were taken in order.
  std::vector<double> weights = {};        ///< One a text, or none.
  bool beginWithBos = false;               ///< As TextSelection.
  bool operator==(const StatisticsRecord&) const = default;
};

/// How alike the heads of one side of one layer are, [kvHeads, kvHeads].
struct SimilarityRecord {
  int layer = 0;
  Side side = Side::key;
  Matrix matrix;
  bool operator==(const SimilarityRecord&) const = default;
};

/// Normalised effective ranks and the like of one side of one layer (methods.md section 7), of singular values.
struct LayerSpectrumRecord {
  int layer = 0;
  Side side = Side::key;
  SpectrumMeasures measures;
  std::vector<float> singularValues;  ///< Falling; a token.
};

/// Relative squared errors of a plan at the calibration's second moments: one row a layer, one column a head.
struct PlanErrorsRecord {
  Matrix keys, values;        ///< |error|^2 / |y|^2 of each KV head.
  Matrix keyLoss, valueLoss;  ///< Half the Fisher form of the error, nats a token; empty without gradients.
  Matrix logits;              ///< Relative squared error of attention scores by query head; empty where not known.
  /// Relative squared error of what attention hands on, by query head; empty where not known.
  Matrix attentionOutputs;
};

/// Which layers can read the cache of another, and what that does to the model.
struct SharingRecord {
  std::vector<int> sharedFrom;  ///< CompressionPlan::sharedFrom.
  double cosine = 1;            ///< Mean over tokens, of the final states with and without sharing.
  int refused = 0;              ///< Pairs that were tried and would have gone below the least cosine.
  /// [layers, layers]: how unlike their caches are, as the search tried them; empty of a map that was given.
  Matrix distances = {};
  bool operator==(const SharingRecord&) const = default;
};

/// A perplexity of the original and of a plan on the same tokens.
struct EvaluationRecord {
  std::string text;
  std::string tokensHash;
  std::string planFingerprint;
  std::int64_t predictions = 0;
  double perplexityBefore = 0;
  double perplexityAfter = 0;
  double seconds = 0;
  bool operator==(const EvaluationRecord&) const = default;
};

/// Token by token: the text in pieces and what each cost both models, nats; NaN for the first.
struct TokenLossRecord {
  std::vector<std::string> pieces;
  std::vector<float> before, after;
  bool operator==(const TokenLossRecord&) const = default;
};

/// Whether planted sentences come out: one row a depth, one column a length.
struct RetrievalRecord {
  std::vector<std::string> texts;  ///< What it was planted in.
  std::vector<int> lengths;        ///< Tokens.
  std::vector<int> depths;         ///< Percent of the text before the sentence that is asked for.
  std::int64_t trials = 0;         ///< For each length and depth.
  std::uint64_t seed = 0;
  Matrix lossBefore, lossAfter;    ///< Mean of the answers' tokens, nats.
  Matrix foundBefore, foundAfter;  ///< Mean part of what was asked for that was written.
  RetrievalKind kind = RetrievalKind::needle;
  std::int64_t planted = 1;  ///< Sentences.
  bool operator==(const RetrievalRecord&) const = default;
};

/// What an export would do, before it does it.
struct ExportPreview {
  std::string form;
  std::string target;
  std::int64_t tensorsChanged = 0, tensorsCarried = 0;
  std::int64_t bytesBefore = 0, bytesAfter = 0;                  ///< Of the files.
  std::int64_t bytesPerTokenBefore = 0, bytesPerTokenAfter = 0;  ///< Of the cache where this form runs.
  std::int64_t freeBytes = 0;
  std::string runsIn;                 ///< What will run it, in words.
  std::vector<std::string> notes;     ///< What the form leaves out of the plan.
  std::vector<std::string> problems;  ///< Why it cannot be written; empty: it can.
  bool operator==(const ExportPreview&) const = default;
};

struct ExportRecord {
  std::string form, target;
  std::int64_t bytesPerToken = 0;
  std::vector<std::string> files, notes;
  bool verified = false;
  double largestLogitDifference = 0;
  bool operator==(const ExportRecord&) const = default;
};

/// What `calibrate` and `evaluate` read.
struct TextSelection {
  std::vector<std::string> paths;
  std::int64_t window = 0;   ///< 0: the model's context, at most 2048.
  std::int64_t windows = 0;  ///< 0: all.
  std::int64_t skipWindows = 0;
  std::optional<std::uint64_t> seed;
  bool beginWithBos = false;
  std::vector<double> weights = {};  ///< One a path, or none: windows in this ratio.
  bool operator==(const TextSelection&) const = default;
};

/// What `makePlan` is asked for beyond the model; absent fields are the method's own.
struct PlanWish {
  std::string method = "coded";
  Target target;
  std::optional<int> rankStep, groupSize;
  std::optional<std::string> grouping, allocator;
  std::optional<Metric> metric;
  std::string device = "h200";
  std::int64_t context = 16384;
  int batch = 1;
  std::optional<CompressionPlan> keep;  ///< Groups, locks and widths of locked groups to keep.
  std::optional<std::string> measure;   ///< How groupings by similarity compare heads.
  double damping = 0;                   ///< Of the metric.
  bool sinkFree = false;                ///< Bases of the tokens beyond the sinks.
  bool centred = false;                 ///< Bases around the mean over tokens.
  bool compensate = false;              ///< Fit factors to what the compressed layers before hand on, if that helps.
  bool unwhitened = false;              ///< Bases of the weights alone.
  bool uncalibrated = false;            ///< Leave out the method's offline calibration of values.
  std::vector<int> sharedFrom = {};     ///< CompressionPlan::sharedFrom.
  std::optional<double> eps = {};  ///< Instead of the target, with the allocator head-mean; see core/plan/head_mean.h.
  std::optional<int> chain = {};   ///< CompressionPlan::chain.
  std::optional<bool> trellis = {};                       ///< CompressionPlan::trellis.
  std::optional<bool> tokenNumbers = {};                  ///< CompressionPlan::tokenNumbers.
  std::optional<int> minimumRank = {}, maximumRank = {};  ///< Directions that every group keeps at least, and at most.
  bool operator==(const PlanWish&) const = default;
};

// One pair a record: toJson(record) and read<Record>(json). Field names are the members'; an absent optional is left
// out. Numbers in bulk (matrices, eigenvalues, distortions, widths, losses) are {type, shape, data: bytes}.
nlohmann::json toJson(const HelloRecord& record);
nlohmann::json toJson(const Choice& record);
nlohmann::json toJson(const MethodChoice& record);
nlohmann::json toJson(const Catalogue& record);
nlohmann::json toJson(const DeviceProfile& record);
nlohmann::json toJson(const ModelShape& record);
nlohmann::json toJson(const ModelRecord& record);
nlohmann::json toJson(const PathRecord& record);
nlohmann::json toJson(const MemoryForecast& record);
nlohmann::json toJson(const StatisticsRecord& record);
nlohmann::json toJson(const SimilarityRecord& record);
nlohmann::json toJson(const LayerSpectrumRecord& record);
nlohmann::json toJson(const PlanErrorsRecord& record);
nlohmann::json toJson(const SharingRecord& record);
nlohmann::json toJson(const EvaluationRecord& record);
nlohmann::json toJson(const TokenLossRecord& record);
nlohmann::json toJson(const RetrievalRecord& record);
nlohmann::json toJson(const ExportPreview& record);
nlohmann::json toJson(const ExportRecord& record);
nlohmann::json toJson(const TextSelection& record);
nlohmann::json toJson(const PlanWish& record);
nlohmann::json toJson(const PlannedPlan& record);
nlohmann::json toJson(const CostModel& record);
nlohmann::json toJson(const BudgetUnit& record);
nlohmann::json toJson(const LossModel& record);

/// Defined for every record above.
template <class Record>
Result<Record> read(const nlohmann::json& json);

/// Spectra of a plan's groups, in their order, as makePlan and decompose answer them.
nlohmann::json unitsToJson(const std::vector<BudgetUnit>& units);
Result<std::vector<BudgetUnit>> unitsFromJson(const nlohmann::json& json);

template <>
Result<HelloRecord> read(const nlohmann::json& json);
template <>
Result<Choice> read(const nlohmann::json& json);
template <>
Result<MethodChoice> read(const nlohmann::json& json);
template <>
Result<Catalogue> read(const nlohmann::json& json);
template <>
Result<DeviceProfile> read(const nlohmann::json& json);
template <>
Result<ModelShape> read(const nlohmann::json& json);
template <>
Result<ModelRecord> read(const nlohmann::json& json);
template <>
Result<PathRecord> read(const nlohmann::json& json);
template <>
Result<MemoryForecast> read(const nlohmann::json& json);
template <>
Result<StatisticsRecord> read(const nlohmann::json& json);
template <>
Result<SimilarityRecord> read(const nlohmann::json& json);
template <>
Result<LayerSpectrumRecord> read(const nlohmann::json& json);
template <>
Result<PlanErrorsRecord> read(const nlohmann::json& json);
template <>
Result<SharingRecord> read(const nlohmann::json& json);
template <>
Result<EvaluationRecord> read(const nlohmann::json& json);
template <>
Result<TokenLossRecord> read(const nlohmann::json& json);
template <>
Result<RetrievalRecord> read(const nlohmann::json& json);
template <>
Result<ExportPreview> read(const nlohmann::json& json);
template <>
Result<ExportRecord> read(const nlohmann::json& json);
template <>
Result<TextSelection> read(const nlohmann::json& json);
template <>
Result<PlanWish> read(const nlohmann::json& json);
template <>
Result<PlannedPlan> read(const nlohmann::json& json);
template <>
Result<CostModel> read(const nlohmann::json& json);
template <>
Result<BudgetUnit> read(const nlohmann::json& json);
template <>
Result<LossModel> read(const nlohmann::json& json);

}  // namespace kvista
