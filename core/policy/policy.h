// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/model/decoder.h"
#include "core/model/live_cache.h"
#include "core/model/tensor_file.h"

namespace kvista {

/// Something about a policy that can be chosen.
struct PolicyOption {
  std::string_view name;
  /// What it is where nothing is said: a word or a number, which is written with a point where not only whole ones make
  /// sense.
  std::string standard;
  std::string_view meaning;
  double least = 0, most = std::numeric_limits<double>::infinity();
  bool isWord = false;  ///< The name of something or a file, not a number.
  bool isFile = false;  ///< A word that names a file.
};

class PlanTransform;
struct Group;
struct PolicyRequest;

/// The options of a policy, checked: each that it has, as asked for or as it stands by itself.
class PolicySettings {
 public:
  /// Errors (invalidArgument): no such option, no number, not whole where only that makes sense, outside its bounds.
  static Result<PolicySettings> of(std::string_view policy, const std::vector<PolicyOption>& options,
                                   const std::map<std::string, std::string>& asked);
  [[nodiscard]] double number(std::string_view option) const;
  [[nodiscard]] std::int64_t count(std::string_view option) const { return static_cast<std::int64_t>(number(option)); }
  [[nodiscard]] const std::string& word(std::string_view option) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

/// One layer when a policy acts.
struct LayerView {
  const Decoder& decoder;
  int layer;
  const LiveLayer& cache;  ///< Its queries are those that were asked for by `queries()`.
  std::int64_t tokens;     ///< Read so far.
  /// Where `cache` is the latent of a plan's group as one head (HeldLatents): the layer itself, and the group. Of the
  /// layer's places those of the plan's exact tokens, the first, are missing; positions count from behind them.
  const LayerView* whole = nullptr;
  const Group* group = nullptr;
};

/// Says which tokens matter. One for each batch of sequences, called layer by layer in rising order whenever tokens are
/// to go.
class TokenScorer {
 public:
  virtual ~TokenScorer() = default;
  /// How many of the last tokens' queries it looks at.
  [[nodiscard]] virtual std::int64_t queries() const { return 0; }
  /// Whether it must know where tokens stood when it acts again.
  [[nodiscard]] virtual bool needsPositions() const { return false; }
  /// Whether it has the model read the text once more, behind keys and values as the model makes them.
  [[nodiscard]] virtual bool readsAgain() const { return false; }
  /// What it foretells by once it has begun, float32, under the names of predictors_kvista.py: it goes into exports.
  [[nodiscard]] virtual NamedTensors trained() const { return {}; }
  /// Before anything is read: `request` (its model may be needed) and the `tokens` of each sequence when it acts for
  /// the last time. Refuses what it could not do then.
  virtual Result<void> begin(const Decoder& decoder, const PolicyRequest& request, std::int64_t tokens) {
    (void)decoder, (void)request, (void)tokens;
    return {};
  }
  /// Before the layers are scored. `ids` int64 [b, cache.tokens]: all that was read.
  virtual Result<void> prepare(const Decoder& decoder, const LiveCache& cache, const at::Tensor& ids,
                               const Task& task) {
    (void)decoder, (void)cache, (void)ids, (void)task;
    return {};
  }
  /// Importance of each place, float32 [b, kvHeads, s]: the highest stay; -infinity goes even where there is room. What
  /// empty places get does not matter.
  virtual Result<at::Tensor> score(const LayerView& view) = 0;
};

/// What a token takes up, bytes, in one head (or all heads, where they can only go together) of the layers that are
/// stored together.
struct TokenBytes {
  std::int64_t exact = 0;                ///< At 16 bits in each layer.
  std::int64_t stored = 0;               ///< As the plan has it; without a plan, the same.
  std::int64_t first = 0;                ///< At 16 bits in those layers that have their own cache:
  std::int64_t exactTokens = 0;          ///< as the plan leaves so many first tokens.
  int layer = 0, unit = 0;               ///< Whose it is; of several layers, the first.
  std::vector<std::size_t> groups = {};  ///< The plan's groups that hold it, by their place in the plan.
  /// Of so many tokens, the first ones among them.
  [[nodiscard]] std::int64_t ofTokens(std::int64_t tokens) const {
    const std::int64_t leading = std::min(tokens, exactTokens);
    return leading * first + (tokens - leading) * stored;
  }
};

/// Changes how tokens are held. One for each batch of sequences.
class CacheStorage {
 public:
  virtual ~CacheStorage() = default;
  /// Before the layers are stored, for what concerns several of them. `transform`: null without a plan.
  virtual Result<void> prepare(const Decoder& decoder, const PlanTransform* transform, const LiveCache& cache) {
    (void)decoder, (void)transform, (void)cache;
    return {};
  }
  /// Turns what a layer holds into what would be read back. Called layer by layer whenever the policy acts, also on
  /// tokens that it has changed before.
  virtual Result<void> store(const LayerView& view, LiveLayer& layer) = 0;
  /// Bytes of one unit (see TokenBytes) that holds `tokens` tokens behind store(), all that reading them back needs
  /// counted. Never falls.
  [[nodiscard]] virtual std::int64_t bytes(const TokenBytes& token, std::int64_t tokens) const = 0;
  /// How many of the last tokens' queries it looks at.
  [[nodiscard]] virtual std::int64_t queries() const { return 0; }
};

enum class BudgetScope : std::uint8_t {
  layers,  ///< Every head of every layer keeps as many tokens.
  cache,   ///< The highest of all heads and layers stay.
};

/// A way to keep a cache small while it grows: it either chooses tokens or changes how they are held. A value; a new
/// one is a file in policies/ and one line in policies.cpp.
struct Policy {
  std::string_view name;
  std::string_view summary;  ///< One line for `kvista list policies`.
  std::string_view source;   ///< Paper.
  std::vector<PolicyOption> options = {};

  // Of policies that choose tokens.
  std::unique_ptr<TokenScorer> (*makeScorer)(const PolicySettings& settings) = nullptr;
  std::int64_t sinks = 0;         ///< First tokens that always stay, unless the option `sinks` says otherwise,
  std::int64_t window = 0;        ///< and last ones: `window`.
  std::int64_t exemptLayers = 0;  ///< First layers that keep all their tokens: `exempt`.
  BudgetScope scope = BudgetScope::layers;
  bool isAlikeInHeads = false;  ///< All heads of a layer keep the same tokens.
  bool dropsByItself = false;   ///< Some tokens go even where the share allows all.
  /// Of one that works on another's scores (wrapped.h): options of the other that differ from what they are by
  /// themselves, where it has them.
  std::map<std::string, std::string> ofWrapped = {};

  // Of policies that change how tokens are held.
  /// Over a plan, unless it needs or takes plans as such, it is made for each group of 16-bit latents, as for a model
  /// of one head that has keys or values only, as wide as the group's rank.
  std::unique_ptr<CacheStorage> (*makeStorage)(const PolicySettings& settings, const ModelShape& shape) = nullptr;
  std::string_view notOfLatents = {};  ///< Why it cannot hold latents, as in "drops channels"; empty where it can.
  /// The option that says how much it keeps, and what it may be by falling bytes: the first that a budget allows is
  /// taken where nothing is said about it.
  std::string_view tuned = {};
  std::vector<double> (*choices)(const ModelShape& shape) = nullptr;
  bool isTokenwise = true;  ///< A token is held by itself, so that tokens can be chosen too.
  bool needsPlan = false;   ///< It says which tokens a plan stores.
  /// It goes with a plan as well as without one; until it acts tokens are as the plan stores them.
  bool takesPlan = false;

  /// All options, those that every policy of its kind has included.
  [[nodiscard]] std::vector<PolicyOption> allOptions() const;
};

const std::vector<Policy>& policies();
Result<const Policy*> findPolicy(std::string_view name);

/// What a policy shall do and when. A value.
struct PolicyRequest {
  /// A name of `policies()`, or a chooser of tokens and a way to hold them: "snapkv+fp8".
  std::string policy;
  std::map<std::string, std::string> options = {};
  /// Bytes of the cache over those of the 16-bit cache of all tokens read so far, whenever the policy has acted; in (0,
  /// 1]. Ways to hold tokens are fitted to it as of when they act for the last time: without an interval that is behind
  /// the prompt.
  double share = 1;
  std::int64_t prompt = 0;  ///< Tokens that are read before it acts for the first time; 0: half of the window.
  /// It acts again each time so many more were read; 0: never, and what follows the prompt stays.
  std::int64_t interval = 0;
  std::string model = {};  ///< Content hash; files of options that were made for another are refused. Empty: not known.

  bool operator==(const PolicyRequest&) const = default;
};

}  // namespace kvista
