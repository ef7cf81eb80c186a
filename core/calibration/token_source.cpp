// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/calibration/token_source.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "core/base/amount.h"
#include "core/io/file_descriptor.h"
#include "core/io/json_file.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

namespace fs = std::filesystem;

/// `name`: the text's, or of what it is the beginning.
Result<void> checkIsUtf8(const std::string& text, const std::string& name) {
  const auto invalid = firstInvalidUtf8(text);
  if (!invalid) return {};
  const bool isUtf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
  return fail(
      ErrorCode::invalidArgument,
      fmt::format("The text {} is not UTF-8: its byte {} is part of no character.", name, *invalid),
      fmt::format("Save it as UTF-8, as by `iconv -f {} -t UTF-8 OLD > NEW`.", isUtf16 ? "UTF-16" : "WINDOWS-1252"));
}

/// A file of another encoding mostly shows at once; the whole of a long text is looked at when it is read.
Result<void> checkBeginning(const fs::path& path) {
  constexpr std::size_t kBeginning = 1 << 16;
  std::string text(kBeginning, '\0');
  std::ifstream stream(path, std::ios::binary);
  stream.read(text.data(), kBeginning);
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() == kBeginning)  // A character may be cut.
    while (!text.empty() && (text.back() & 0x80) != 0) text.pop_back();
  return checkIsUtf8(text, path.string());
}

/// Appends the documents of one file: the whole of a text, or the field "text" of each line of a .jsonl.
Result<void> appendDocuments(const fs::path& path, std::vector<std::string>& documents) {
  if (path.extension() != ".jsonl") {
    KVISTA_ASSIGN(documents.emplace_back(), readText(path));
    return {};
  }
  KVISTA_ASSIGN(const std::string text, readRegularFile(path));
  std::size_t lineNumber = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++lineNumber;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string what = fmt::format("line {} of {}", lineNumber, path.string());
    KVISTA_ASSIGN(const nlohmann::json entry, parseJson(line, what));
    if (!entry.is_object() || !entry.contains("text") || !entry["text"].is_string())
      return fail(ErrorCode::invalidArgument, fmt::format("The {} has no string field \"text\".", what),
                  "Each line of a .jsonl text must be an object such as {\"text\": \"...\"}.");
    documents.push_back(entry["text"].get<std::string>());
  }
  return {};
}

constexpr const char* kStandardInput = "-";

/// Never opens what is no regular file: reading a pipe waits for whoever writes into it.
Result<void> checkReadable(const fs::path& file) {
  auto opened = openRegularFile(file);
  if (opened) return {};
  opened.error().message = "The text " + opened.error().message;
  opened.error().hint = "Give a text file, a folder of .txt and .jsonl files, or - for standard input.";
  return tl::unexpected(std::move(opened).error());
}

/// The files behind the paths of a recipe, standard input as it is. Folders within a folder are not gone into, whatever
/// they are called; anything else that is called a text and is none is refused.
Result<std::vector<fs::path>> filesOf(const std::vector<std::string>& paths) {
  std::vector<fs::path> files;
  for (const std::string& name : paths) {
    std::error_code error, ignored;
    if (name == kStandardInput || !fs::is_directory(name, error)) {
      if (name != kStandardInput) KVISTA_CHECK(checkReadable(name));
      files.emplace_back(name);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(name, error))
      if ((entry.path().extension() == ".txt" || entry.path().extension() == ".jsonl") && !entry.is_directory(ignored))
        inside.push_back(entry.path());
    if (error) return fail(ErrorCode::io, fmt::format("The folder {} cannot be listed: {}.", name, error.message()));
    if (inside.empty())
      return fail(ErrorCode::invalidArgument, fmt::format("The folder {} holds no .txt or .jsonl file.", name));
    std::ranges::sort(inside);
    for (const fs::path& file : inside) KVISTA_CHECK(checkReadable(file));
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

/// Standard input comes once, but a text may be read twice: to calibrate, and to measure on what calibration left.
const std::string& standardInput() {
  static const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  return text;
}

Result<std::vector<std::string>> readDocuments(const std::vector<std::string>& paths) {
  KVISTA_ASSIGN(const std::vector<fs::path> files, filesOf(paths));
  std::vector<std::string> documents;
  for (const fs::path& file : files) {
    if (file == kStandardInput) {
      KVISTA_CHECK(checkIsUtf8(standardInput(), "of standard input"));
      documents.push_back(standardInput());
    } else {
      KVISTA_CHECK(appendDocuments(file, documents));
    }
  }
  return documents;
}

/// The first `bytes` of a document, cut at a line end so that no word is split; all of it if it is not much longer.
std::string_view prefixOf(const std::string& document, std::size_t bytes) {
  if (document.size() <= bytes) return document;
  const std::size_t lineEnd = document.find('\n', bytes);
  return std::string_view(document).substr(0, lineEnd == std::string::npos ? document.size() : lineEnd + 1);
}

std::string hashOf(const at::Tensor& ids) {
  return fmt::format("{:016x}",
                     XXH3_64bits_withSeed(ids.const_data_ptr(), ids.nbytes(), static_cast<XXH64_hash_t>(ids.size(1))));
}

}  // namespace

nlohmann::json toJson(const TextRecipe& recipe) {
  nlohmann::json json = {{"paths", recipe.paths},
                         {"window", recipe.window},
                         {"skipWindows", recipe.skipWindows},
                         {"beginWithBos", recipe.beginWithBos}};
  if (!recipe.weights.empty()) json["weights"] = recipe.weights;
  if (recipe.windows) json["windows"] = *recipe.windows;
  if (recipe.seed) json["seed"] = *recipe.seed;
  return json;
}

Result<TextRecipe> textRecipeFromJson(const nlohmann::json& json) {
  try {
    TextRecipe recipe;
    json.at("paths").get_to(recipe.paths);
    json.at("window").get_to(recipe.window);
    json.at("skipWindows").get_to(recipe.skipWindows);
    json.at("beginWithBos").get_to(recipe.beginWithBos);
    recipe.weights = json.value("weights", recipe.weights);
    if (json.contains("windows")) recipe.windows = json["windows"].get<std::int64_t>();
    if (json.contains("seed")) recipe.seed = json["seed"].get<std::uint64_t>();
    return recipe;
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::corruptFile, "The record of the calibration text is damaged.",
                "Run `kvista calibrate` again.");
  }
}

std::vector<std::string> textsInWords(const TextRecipe& recipe) {
  std::vector<std::string> words = recipe.paths;
  for (std::size_t i = 0; i < std::min(words.size(), recipe.weights.size()); ++i)
    words[i] += fmt::format(" (weight {:g})", recipe.weights[i]);
  return words;
}

std::string textsHave(const std::vector<std::string>& paths) {
  if (paths.size() > 1) return fmt::format("The {} texts {} to {} have", paths.size(), paths.front(), paths.back());
  if (paths.empty()) return "The text has";
  return paths.front() == kStandardInput ? "The text of standard input has"
                                         : fmt::format("The text {} has", paths.front());
}

Result<std::string> readText(const fs::path& file) {
  KVISTA_CHECK(checkReadable(file));
  KVISTA_ASSIGN(std::string text, readRegularFile(file));
  KVISTA_CHECK(checkIsUtf8(text, file.string()));
  return text;
}

Result<void> checkTexts(const std::vector<std::string>& paths) {
  KVISTA_ASSIGN(const std::vector<fs::path> files, filesOf(paths));
  for (const fs::path& file : files)
    if (file != kStandardInput) KVISTA_CHECK(checkBeginning(file));
  return {};
}

Result<std::vector<std::uint32_t>> readTokens(const Tokenizer& tokenizer, const std::vector<std::string>& paths,
                                              std::optional<std::int64_t> wanted, const Task& task) {
  KVISTA_ASSIGN(const std::vector<std::string> documents, readDocuments(paths));
  const auto isEnough = [&](const std::vector<std::uint32_t>& ids) {
    return wanted && static_cast<std::int64_t>(ids.size()) >= *wanted;
  };
  // 16 bytes a token is more than any tokenizer averages, and the loop asks for more where that was wrong.
  std::vector<std::uint32_t> ids;
  for (std::size_t bytes = wanted ? static_cast<std::size_t>(*wanted) * 16 : SIZE_MAX;; bytes *= 8) {
    ids.clear();
    std::size_t longest = 0, read = 0, all = 0;
    for (const std::string& document : documents) all += prefixOf(document, bytes).size();
    for (const std::string& document : documents) {
      KVISTA_CHECK(task.checkStop());
      longest = std::max(longest, document.size());
      const std::string_view prefix = prefixOf(document, bytes);
      const auto listener = [&](std::size_t done) -> Result<void> {
        if (done < prefix.size()) task.progress("read the text", read + done, all, "bytes");
        return task.checkStop();
      };
      KVISTA_ASSIGN(auto some, tokenizer.encode(prefix, false, listener));
      read += prefix.size();
      if (ids.empty())
        ids = std::move(some);
      else
        ids.insert(ids.end(), some.begin(), some.end());
      if (isEnough(ids)) break;
    }
    if (isEnough(ids) || longest <= bytes) return ids;
  }
}

namespace {

Result<void> checkRecipe(const TextRecipe& recipe, bool hasBos) {
  if (recipe.window < 2)
    return fail(ErrorCode::invalidArgument,
                fmt::format("A window of {} predicts nothing; it needs at least 2.", amount(recipe.window, "token")));
  if (recipe.skipWindows < 0 || (recipe.windows && *recipe.windows < 1))
    return fail(ErrorCode::invalidArgument, "The number of windows must be at least 1 and windows skipped at least 0.");
  if (recipe.beginWithBos && !hasBos)
    return fail(ErrorCode::invalidArgument,
                "Windows shall begin with BOS, but the model's tokenizer names no BOS token.");
  if (!recipe.weights.empty() && recipe.weights.size() != recipe.paths.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("There are {} weights for {} texts.", recipe.weights.size(), recipe.paths.size()),
                "Give one weight for each text, in their order.");
  for (const double weight : recipe.weights)
    if (!(weight > 0) || !std::isfinite(weight))
      return fail(ErrorCode::invalidArgument,
                  fmt::format("A text's weight of {} is not possible; it must be above 0.", weight));
  return {};
}

/// Texts that give windows together, in an order of their own.
struct WindowSource {
  std::vector<std::uint32_t> ids;
  std::vector<std::int64_t> order;
  std::size_t next = 0;

  [[nodiscard]] bool isEmpty() const { return next == order.size(); }
};

Result<WindowSource> openSource(const Tokenizer& tokenizer, const std::vector<std::string>& paths,
                                std::optional<std::int64_t> wanted, std::int64_t textTokens,
                                std::optional<std::uint64_t> seed, const Task& task) {
  WindowSource source;
  KVISTA_ASSIGN(source.ids, readTokens(tokenizer, paths, wanted, task));
  source.order.resize(source.ids.size() / static_cast<std::size_t>(textTokens));
  std::iota(source.order.begin(), source.order.end(), 0);
  if (seed) {
    std::mt19937_64 random(*seed);
    // Same on every library.
    for (std::size_t i = source.order.size(); i > 1; --i) std::swap(source.order[i - 1], source.order[random() % i]);
  }
  return source;
}

/// Which source gives each window: the one that lags furthest behind its share. The beginning is the same however many
/// are wanted.
class Turns {
 public:
  explicit Turns(std::vector<double> weights) : weights_(std::move(weights)), taken_(weights_.size(), 0) {}
  std::size_t take() {
    const double all = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    ++turn_;
    std::size_t next = 0;
    const auto lag = [&](std::size_t i) { return weights_[i] / all * turn_ - taken_[i]; };
    for (std::size_t i = 1; i < weights_.size(); ++i)
      if (lag(i) > lag(next) + 1e-9) next = i;
    taken_[next] += 1;
    return next;
  }

 private:
  std::vector<double> weights_, taken_;
  double turn_ = 0;
};

Result<TokenWindows> cutIntoWindows(const Tokenizer& tokenizer, const TextRecipe& recipe,
                                    std::optional<std::uint32_t> bos, const Task& task) {
  KVISTA_CHECK(checkRecipe(recipe, bos.has_value()));
  const std::int64_t textTokens = recipe.beginWithBos ? recipe.window - 1 : recipe.window;
  const bool mixed = !recipe.weights.empty();
  const std::vector<double> weights = mixed ? recipe.weights : std::vector<double>{1};

  // Windows in order need only the beginning of a long text.
  std::vector<std::optional<std::int64_t>> wanted(weights.size());
  if (recipe.windows && !recipe.seed) {
    std::ranges::fill(wanted, 0);
    Turns turns(weights);
    for (std::int64_t i = 0; i < recipe.skipWindows + *recipe.windows; ++i) *wanted[turns.take()] += textTokens;
  }
  std::vector<WindowSource> sources;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto paths = mixed ? std::vector<std::string>{recipe.paths[i]} : recipe.paths;
    const auto seed = recipe.seed ? std::optional(*recipe.seed + i) : std::nullopt;
    KVISTA_ASSIGN(WindowSource source, openSource(tokenizer, paths, wanted[i], textTokens, seed, task));
    tokens += static_cast<std::int64_t>(source.ids.size());
    sources.push_back(std::move(source));
  }

  // Those left out come first in the order, so that what one recipe skips is what another with the same seed has taken.
  std::vector<std::pair<const WindowSource*, std::int64_t>> windows;
  Turns turns(weights);
  for (std::int64_t i = 0; !recipe.windows || i < recipe.skipWindows + *recipe.windows; ++i) {
    WindowSource& source = sources[turns.take()];
    if (source.isEmpty()) break;
    const std::int64_t window = source.order[source.next++];
    if (i >= recipe.skipWindows) windows.emplace_back(&source, window);
  }
  if (windows.empty())
    return fail(
        ErrorCode::invalidArgument,
        fmt::format("{} {}, too few for {} of {} tokens.", textsHave(recipe.paths), amount(tokens, "token"),
                    recipe.skipWindows ? fmt::format("a window after the first {}", recipe.skipWindows) : "one window",
                    recipe.window),
        mixed ? "Give longer texts, other weights or a smaller --window."
              : "Give a longer text or a smaller --window.");

  TokenWindows result;
  result.tokensInText = tokens;
  result.ids = at::empty({static_cast<std::int64_t>(windows.size()), recipe.window}, at::kLong);
  auto* out = result.ids.mutable_data_ptr<std::int64_t>();
  for (const auto& [source, window] : windows) {
    if (recipe.beginWithBos) *out++ = *bos;
    out = std::copy_n(source->ids.begin() + window * textTokens, textTokens, out);
  }
  result.hash = hashOf(result.ids);
  return result;
}

}  // namespace

Result<TokenWindows> readTokenWindows(const Tokenizer& tokenizer, const TextRecipe& recipe,
                                      std::optional<std::uint32_t> bos, const Task& task,
                                      const ProcessGroup& processes) {
  if (processes.isAlone()) return cutIntoWindows(tokenizer, recipe, bos, task);
  TokenWindows result;
  const at::Tensor sizes = at::zeros({3}, at::kLong);
  auto* numbers = sizes.mutable_data_ptr<std::int64_t>();
  if (processes.isFirst()) {
    KVISTA_ASSIGN(result, cutIntoWindows(tokenizer, recipe, bos, task));
    numbers[0] = result.ids.size(0);
    numbers[1] = result.ids.size(1);
    numbers[2] = result.tokensInText;
  }
  KVISTA_CHECK(processes.broadcast(sizes, 0, task));
  if (!processes.isFirst()) result.ids = at::empty({numbers[0], numbers[1]}, at::kLong);
  KVISTA_CHECK(processes.broadcast(result.ids, 0, task));
  result.tokensInText = numbers[2];
  result.hash = hashOf(result.ids);
  return result;
}

TokenWindows windowsOf(const TokenWindows& windows, std::int64_t begin, std::int64_t count) {
  TokenWindows part{windows.ids.narrow(0, begin, count).contiguous(), {}, windows.tokensInText};
  part.hash = hashOf(part.ids);
  return part;
}

std::int64_t usualWindow(std::int64_t maximumPositions) {
  constexpr std::int64_t kUsualWindow = 2048;
  return maximumPositions > 0 ? std::min(kUsualWindow, maximumPositions) : kUsualWindow;
}

}  // namespace kvista
