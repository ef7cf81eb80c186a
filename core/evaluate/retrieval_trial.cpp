// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string_view>

#include "core/base/amount.h"
#include "core/calibration/token_source.h"
#include "core/evaluate/retrieval.h"

namespace kvista {
namespace {

/// Keys that every tokenizer has seen.
constexpr std::array<std::string_view, kMostPlanted> kKeys = {
    "river",   "candle", "garden", "window",  "harbour", "mirror",  "forest", "ladder", "bridge", "kettle",
    "lantern", "meadow", "needle", "orchard", "pillow",  "rabbit",  "saddle", "temple", "violin", "walnut",
    "anchor",  "basket", "castle", "dagger",  "engine",  "feather", "guitar", "hammer", "island", "jacket",
    "kitchen", "lemon",  "marble", "nettle",  "oyster",  "pepper",  "quarry", "ribbon", "shovel", "thistle",
    "urchin",  "valley", "wagon",  "yacht",   "zebra",   "barrel",  "copper", "desert"};

/// What one trial says: sentences in the order of their numbers, the one that is asked for first.
struct Script {
  std::vector<std::string> sentences;
  std::string question;
  std::vector<std::string> wanted;
};

std::string numberFrom(std::mt19937_64& random) { return fmt::format("{}", 10000 + random() % 90000); }

std::string nameFrom(std::mt19937_64& random) {
  std::string name;
  for (int i = 0; i < 5; ++i) name += static_cast<char>('A' + random() % 26);
  return name;
}

/// `count` words that differ.
std::vector<std::string> different(std::int64_t count, std::mt19937_64& random, std::string (*draw)(std::mt19937_64&)) {
  std::vector<std::string> words;
  while (static_cast<std::int64_t>(words.size()) < count)
    if (std::string word = draw(random); std::ranges::find(words, word) == words.end())
      words.push_back(std::move(word));
  return words;
}

Script scriptOf(RetrievalKind kind, std::int64_t planted, std::mt19937_64& random) {
  Script script;
  switch (kind) {
    case RetrievalKind::needle: {
      script.question = "\nThe secret number is";
      script.wanted = {numberFrom(random)};
      script.sentences = {fmt::format("{} {}.\n", script.question, script.wanted.front())};
      break;
    }
    case RetrievalKind::multiKey: {
      const std::vector<std::string> numbers = different(planted, random, numberFrom);
      const std::vector<std::string> keys = different(
          planted, random, [](std::mt19937_64& generator) { return std::string(kKeys[generator() % kKeys.size()]); });
      const auto about = [&](std::size_t i) { return fmt::format("\nThe secret number of the {} is", keys[i]); };
      for (std::size_t i = 0; i < keys.size(); ++i)
        script.sentences.push_back(fmt::format("{} {}.\n", about(i), numbers[i]));
      script.question = about(0);
      script.wanted = {numbers.front()};
      break;
    }
    case RetrievalKind::variableTracking: {
      const std::string value = numberFrom(random);
      script.wanted = different(planted, random, nameFrom);
      for (std::size_t i = 0; i < script.wanted.size(); ++i)
        script.sentences.push_back(
            fmt::format("\nVAR {} = {}.\n", script.wanted[i], i == 0 ? value : "VAR " + script.wanted[i - 1]));
      script.question = fmt::format("\nThe variables with the value {} are", value);
      break;
    }
  }
  return script;
}

/// How the answer continues the question, and not as words of their own would be cut.
Result<std::vector<std::uint32_t>> answerTokens(const Tokenizer& tokenizer, const Script& script,
                                                const std::vector<std::uint32_t>& question) {
  std::string text = script.question;
  for (const std::string& word : script.wanted) text += " " + word;
  KVISTA_ASSIGN(std::vector<std::uint32_t> whole, tokenizer.encode(text, false));
  const bool goesOn = whole.size() > question.size() && std::equal(question.begin(), question.end(), whole.begin());
  if (!goesOn)
    return fail(ErrorCode::unsupportedModel,
                "The model's tokenizer cuts a question otherwise when an answer follows it.",
                "Its retrieval cannot be tested; measure its perplexity instead.");
  whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(question.size()));
  return whole;
}

Result<std::int64_t> plantedOf(const RetrievalRequest& request) {
  if (request.planted == 0) return usualPlanted(request.kind);
  const bool isNeedle = request.kind == RetrievalKind::needle;
  const std::int64_t least = isNeedle ? 1 : 2, most = isNeedle ? 1 : kMostPlanted;
  if (request.planted < least || request.planted > most)
    return fail(ErrorCode::invalidArgument,
                fmt::format("The kind {} plants {}, not {}.", nameIn(kRetrievalKinds, request.kind),
                            isNeedle ? "1 sentence" : fmt::format("{} to {} sentences", least, most), request.planted));
  return request.planted;
}

/// Where each sentence stands: tokens of filling before it.
std::vector<std::int64_t> placesOf(RetrievalKind kind, std::int64_t planted, std::int64_t first, std::int64_t filling,
                                   std::mt19937_64& random) {
  const bool isChain = kind == RetrievalKind::variableTracking;
  const std::int64_t from = isChain ? first : 0;
  std::vector<std::int64_t> places = {first};
  while (static_cast<std::int64_t>(places.size()) < planted)
    places.push_back(from + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(filling - from + 1)));
  if (isChain) std::ranges::sort(places);
  return places;
}

}  // namespace

Result<RetrievalTrial> retrievalTrial(const Tokenizer& tokenizer, const RetrievalRequest& request, std::size_t length,
                                      std::size_t depth, std::int64_t trial) {
  KVISTA_ASSIGN(const std::int64_t planted, plantedOf(request));
  // A generator of its own for each trial: a table with other lengths asks the same at those that both have.
  std::mt19937_64 random(request.seed + 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(trial + 1));
  const Script script = scriptOf(request.kind, planted, random);
  RetrievalTrial made;
  made.wanted = script.wanted;
  KVISTA_ASSIGN(const auto question, tokenizer.encode(script.question, false));
  KVISTA_ASSIGN(made.answer, answerTokens(tokenizer, script, question));
  std::vector<std::vector<std::uint32_t>> sentences;
  auto around = static_cast<std::int64_t>(question.size());
  for (const std::string& sentence : script.sentences) {
    KVISTA_ASSIGN(sentences.emplace_back(), tokenizer.encode(sentence, false));
    around += static_cast<std::int64_t>(sentences.back().size());
  }
  const std::int64_t filling = request.lengths[length] - around;
  if (filling < 1)
    return fail(ErrorCode::invalidArgument,
                fmt::format("There is no room in {} for what is planted and the question, which take {}.",
                            amount(request.lengths[length], "token"), around),
                fmt::format("Ask for lengths of more than {} tokens.", around));
  const auto available = static_cast<std::int64_t>(request.filler.size());
  if (filling > available)
    return fail(ErrorCode::invalidArgument,
                fmt::format("{} {}, too few for a length of {} tokens, of which {} are the text's.",
                            textsHave(request.texts), amount(available, "token"), request.lengths[length], filling),
                "Give a longer text or shorter lengths.");
  const auto start = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(available - filling + 1));
  const auto first = static_cast<std::int64_t>(std::llround(request.depths[depth] * static_cast<double>(filling)));
  const std::vector<std::int64_t> places = placesOf(request.kind, planted, first, filling, random);
  std::vector<std::size_t> order(places.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return places[i]; });
  const auto begin = request.filler.begin() + start;
  std::int64_t told = 0;
  for (const std::size_t i : order) {
    made.prompt.insert(made.prompt.end(), begin + told, begin + places[i]);
    made.prompt.insert(made.prompt.end(), sentences[i].begin(), sentences[i].end());
    told = places[i];
  }
  made.prompt.insert(made.prompt.end(), begin + told, begin + filling);
  made.prompt.insert(made.prompt.end(), question.begin(), question.end());
  return made;
}

}  // namespace kvista
