// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <iostream>
#include <iterator>
#include <limits>

#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/io/file_descriptor.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

struct Options {
  std::string model;
  std::string textFile = "-";
  bool noSpecial = false;
  std::vector<std::uint32_t> ids;
  bool skipSpecial = false;
};

/// A checkpoint, or a folder that holds only a tokenizer.
Result<Tokenizer> openTokenizer(const std::string& path) {
  const std::filesystem::path file = std::filesystem::path(path) / "tokenizer.json";
  std::error_code error;
  if (std::filesystem::exists(file, error)) return Tokenizer::fromFile(file);
  KVISTA_ASSIGN(const Checkpoint checkpoint, openCheckpoint(path));
  return tokenizerOf(checkpoint);
}

Result<std::string> readAll(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  auto text = readRegularFile(path);
  if (text) return text;
  return fail(text.error().code, "The text " + text.error().message, "Give a text file, or - for standard input.");
}

Result<std::vector<std::uint32_t>> readIds(std::istream& stream) {
  std::vector<std::uint32_t> ids;
  for (std::string word; stream >> word;) {
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("\"{}\", word {} of standard input, is not a token id.", word, ids.size() + 1),
                  "Give whole numbers from 0, with spaces between.");
    ids.push_back(id);
  }
  return ids;
}

Result<Output> tokenize(const Options& options, const Task&) {
  KVISTA_ASSIGN(const Tokenizer tokenizer, openTokenizer(options.model));
  KVISTA_ASSIGN(const std::string text, readAll(options.textFile));
  auto encoded = tokenizer.encode(text, !options.noSpecial);
  if (!encoded) {
    if (options.textFile != "-")
      encoded.error().message = fmt::format("{}: {}", options.textFile, encoded.error().message);
    return tl::unexpected(std::move(encoded).error());
  }
  const std::vector<std::uint32_t>& ids = *encoded;
  return Output{{{"ids", ids}, {"count", ids.size()}}, fmt::format("{}\n", fmt::join(ids, " "))};
}

Result<Output> detokenize(const Options& options, const Task&) {
  KVISTA_ASSIGN(const Tokenizer tokenizer, openTokenizer(options.model));
  std::vector<std::uint32_t> ids = options.ids;
  if (ids.empty()) {
    KVISTA_ASSIGN(ids, readIds(std::cin));
  }
  for (const std::uint32_t id : ids)
    if (!tokenizer.holds(id))
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The tokenizer of {} has no token {}; its vocabulary has {} ids, from 0.", options.model,
                              id, tokenizer.vocabularySize()),
                  "Give ids that `kvista tokenize` made with this model.");
  KVISTA_ASSIGN(const std::string text, tokenizer.decode(ids, options.skipSpecial));
  return Output{{{"text", text}}, text + "\n"};
}

}  // namespace

void addTokenize(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* encode = addVerb(app, invocation,
                             {"tokenize", "Text to token ids",
                              "kvista tokenize resources/demo/model --text-file resources/demo/text/evaluation.txt"},
                             options, tokenize);
  encode->add_option("model", options->model, "Checkpoint or folder with a tokenizer.json")->required();
  encode->add_option("--text-file", options->textFile, "File to read (default: standard input)");
  encode->add_flag("--no-special", options->noSpecial, "Add no BOS and the like");
  auto back = std::make_shared<Options>();
  CLI::App* decode =
      addVerb(app, invocation, {"detokenize", "Token ids to text", "kvista detokenize resources/demo/model 52 318 271"},
              back, detokenize);
  decode->add_option("model", back->model, "Checkpoint or folder with a tokenizer.json")->required();
  decode->add_option("ids", back->ids, "Ids (default: from standard input)")
      ->check(wholeNumber(0, std::numeric_limits<std::uint32_t>::max()));
  decode->add_flag("--skip-special", back->skipSpecial, "Leave special tokens out of the text");
}

}  // namespace kvista
