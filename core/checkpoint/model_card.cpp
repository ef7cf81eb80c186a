// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/model_card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "core/base/amount.h"
#include "core/checkpoint/card_header.h"
#include "core/checkpoint/gguf/content.h"

namespace kvista {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A text from a file as Markdown shows it letter by letter.
std::string code(const std::string& text) {
  std::string shown;
  for (const char letter : text.substr(0, 200))
    shown += letter == '`' || static_cast<unsigned char>(letter) < 0x20 ? ' ' : letter;
  return "`" + shown + "`";
}

std::optional<double> number(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// "a.txt, b.txt" of paths: folders of this machine are nobody's business.
std::string namesOfTexts(const json& recipe) {
  std::vector<std::string> names;
  for (const json& path : recipe.value("paths", json::array())) {
    const std::string text = path.is_string() ? path.get<std::string>() : std::string();
    names.push_back(text == "-" ? "text that was given on standard input" : code(fs::path(text).filename().string()));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string figures(const json& report) {
  const json& bytes = report.at("bytesPerToken");
  std::string text = "| | original | this model |\n|---|---|---|\n";
  text += fmt::format("| cache, bytes a token | {} | {} |\n", bytes.at("before").get<std::int64_t>(),
                      bytes.at("achieved").get<std::int64_t>());
  const auto before = number(report, "perplexityBefore"), after = number(report, "perplexityAfter");
  if (before && after) {
    const json measuredOn = report.value("evaluation", json::object());
    std::string where = namesOfTexts(measuredOn);
    if (measuredOn.value("isRestOfCalibration", false)) where = "what calibration left of " + where;
    if (const auto predictions = number(measuredOn, "predictions"); predictions && *predictions > 0)
      where += fmt::format("{}{:.0f} tokens", where.empty() ? "" : ", ", *predictions);
    text += fmt::format("| perplexity, measured{} | {:.3f} | {:.3f} |\n", where.empty() ? "" : " on " + where, *before,
                        *after);
  }
  const auto base = number(report, "baseLoss"), raw = number(report, "predictedLossRaw"),
             corrected = number(report, "predictedLoss");
  const auto rise = corrected ? corrected : raw;
  auto predicted = number(report, "predictedPerplexity");
  std::string original = predicted && before ? fmt::format("{:.3f}", *before) : "";
  if (!predicted && base && rise && *base > 0) {
    predicted = std::exp(*base + *rise);
    original = fmt::format("{:.3f}", std::exp(*base));
  }
  if (predicted)
    text += fmt::format("| perplexity, predicted from the calibration text | {} | {:.3f} |\n", original, *predicted);
  if (!before && !predicted)
    text += "\nThe quality was neither measured nor predicted.\n";
  else if (!before)
    text += "\nThe quality was not measured: measure it on text of your own before you rely on it.\n";
  return text;
}

std::string_view wordsFor(Metric metric) {
  switch (metric) {
    case Metric::identity:
      return "their squares";
    case Metric::fisher:
      return "the loss's own curvature (Fisher)";
    case Metric::query:
      return "what attention scores feel of keys, values by their squares";
    case Metric::output:
      return "what the output projection makes of values, keys by their squares";
    case Metric::attention:
      return "what attention scores feel of keys and the output projection makes of values";
    case Metric::eigen:
      return "their squares, of keys those of their queries too";
  }
  return "";
}

constexpr std::string_view kLoadGguf =
    "```\n"
    "llama-cli -m FOLDER/model.gguf\n"
    "```\n"
    "or with whatever else reads GGUF files: the tokenizer is in the file.";

std::string describePlan(const CompressionPlan& plan, const json& report) {
  const auto compressed =
      std::ranges::count_if(plan.groups, [](const Group& group) { return !group.isUncompressed(); });
  std::string text = fmt::format("* method {}, grouping {}, allocator {}, errors measured by {}\n", code(plan.method),
                                 code(plan.grouping), code(plan.allocator), wordsFor(plan.metric));
  text += fmt::format("* {} of heads, {} of them compressed; keys are compressed {} the rotary embedding\n",
                      amount(plan.groups.size(), "group"), compressed,
                      plan.keyPosition == KeyPosition::afterRope ? "after" : "before");
  text += plan.storage == Storage::coded ? "* directions are codes of 1 to 8 bits, or 16-bit numbers\n"
                                         : "* directions are 16-bit numbers\n";
  if (plan.tokenNumbers) text += "* the first layer's cache holds the numbers of tokens, which predict other layers\n";
  if (plan.trellis) text += "* codes of up to 4 bits go through a trellis\n";
  if (plan.damping > 0)
    text += fmt::format("* {:.3g} of each head's mean weight is added to all its directions\n", plan.damping);
  if (plan.sinkFree) text += "* bases are those of the tokens beyond the first of each window\n";
  if (plan.centred)
    text += "* the mean over tokens is taken away before tokens are stored, and put back when they are read\n";
  if (plan.unwhitened) text += "* bases are those of the weights alone\n";
  if (plan.uncalibrated) text += "* values are as decomposed, without calibration\n";
  if (plan.compensated) text += "* each layer is fitted to what the compressed layers before it hand on\n";
  if (plan.exactTokens > 0) text += fmt::format("* the first {} tokens stay exact\n", plan.exactTokens);
  text += fmt::format("* fingerprint {}\n", code(report.at("fingerprint").get<std::string>()));
  return text;
}

std::string calibration(const json& report) {
  const json recipe = report.value("calibration", json::object());
  if (recipe.empty()) return "No text: the plan was made from the weights alone.\n";
  std::string text = namesOfTexts(recipe);
  if (const auto tokens = number(report, "calibrationTokens")) text += fmt::format(": {:.0f} tokens", *tokens);
  if (const auto window = number(recipe, "window"); window && *window > 0)
    text += fmt::format(", in windows of {:.0f}", *window);
  return text + "\n";
}

std::string licence(const Checkpoint& checkpoint, const CardHeader& header, const std::string& name,
                    const std::string& hash) {
  std::string text = fmt::format("Made from {} (family {}, content {}). ", code(name),
                                 code(checkpoint.config.value("model_type", "")), code(hash));
  std::vector<std::string> files;
  if (checkpoint.format != Checkpoint::Format::gguf) {
    std::error_code ignored;
    const fs::path& place = checkpoint.companions();
    const fs::path folder = fs::is_directory(place, ignored) ? place : place.parent_path();
    for (const char* file : {"LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md"})
      if (fs::is_regular_file(folder / file, ignored)) files.push_back(code(file));
  }
  if (!header.license.empty()) {
    text += fmt::format("The original's licence holds for this model too: {}.",
                        code(header.licenseName.empty() ? header.license : header.licenseName));
  } else {
    text += "The original's terms hold for this model too";
    text += files.empty() ? "; the files that it was made from do not say which they are." : ".";
  }
  if (!files.empty()) text += fmt::format(" See {}.", fmt::join(files, ", "));
  return text + "\n";
}

}  // namespace

std::string nameOfOriginal(const Checkpoint& checkpoint) {
  const fs::path path = fs::absolute(checkpoint.path).lexically_normal();
  for (const fs::path& part : path) {
    const std::string folder = part.string();
    constexpr std::string_view kBegin = "models--", kBetween = "--";
    if (!folder.starts_with(kBegin)) continue;
    const std::size_t between = folder.find(kBetween, kBegin.size());
    if (between == std::string::npos) continue;
    return folder.substr(kBegin.size(), between - kBegin.size()) + "/" + folder.substr(between + kBetween.size());
  }
  const fs::path last = path.has_filename() ? path : path.parent_path();
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return last.filename().string();
  // A file: a GGUF is a model by itself, one of safetensors belongs to its folder.
  return checkpoint.format == Checkpoint::Format::gguf ? last.stem().string() : last.parent_path().filename().string();
}

Result<std::string> modelCard(const Checkpoint& checkpoint, const ExportForm& form, const CompressionPlan& plan,
                              const json& report) {
  KVISTA_ASSIGN(CardHeader header, cardHeaderOf(checkpoint));
  const std::string name = nameOfOriginal(checkpoint);
  if (name.find('/') != std::string::npos) header.baseModels = {name};
  for (const char* tag : {"kvista", "kv-cache"})
    if (std::ranges::find(header.tags, tag) == header.tags.end()) header.tags.emplace_back(tag);

  const double before = report.at("bytesPerToken").at("before").get<double>(),
               after = report.at("bytesPerToken").at("achieved").get<double>();
  std::string text = writeCardHeader(header);
  text += fmt::format("\n# {} with a compressed KV cache\n\n", code(name));
  text += after < before ? fmt::format(
                               "{}, changed by KVista so that its cache of keys and values takes {:.0f} bytes a token "
                               "instead of {:.0f}: {:.2f} times less.\n",
                               code(name), after, before, before / after)
                         : fmt::format(
                               "{}, with the keys and values that a plan of KVista leaves; in this form the cache is "
                               "as large as the original's.\n",
                               code(name));
  const bool isGguf = report.value("container", "") == "gguf";
  text += fmt::format("Form {}: {}. It runs in {}.\n", code(std::string(form.name)), form.summary,
                      isGguf ? kGgufRunsIn : form.runsIn);
  text += fmt::format("\n## How to load it\n{}\n\n## Figures\n{}\n## Plan\n{}", isGguf ? kLoadGguf : form.howToLoad,
                      figures(report), describePlan(plan, report));
  for (const json& note : report.value("notes", json::array())) text += fmt::format("* {}\n", note.get<std::string>());
  if (const std::string policy = report.value("policy", ""); !policy.empty())
    text += fmt::format(
        "* while a text is read, the policy {} keeps the cache smaller still, from behind the prompt on; "
        "`model.config.kvista[\"policy\"] = None` "
        "leaves it out\n",
        code(policy));
  text += fmt::format(
      "\n`kvista-report.json` holds the whole plan, hashes of all files and how the written model was checked.\n"
      "\n## Calibration text\n{}\n## Origin and licence\n{}",
      calibration(report), licence(checkpoint, header, name, report.at("source").at("hash").get<std::string>()));
  return text;
}

}  // namespace kvista
