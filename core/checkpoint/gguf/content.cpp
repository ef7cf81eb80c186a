// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/gguf/content.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "core/checkpoint/gguf/metadata.h"
#include "core/checkpoint/gguf/tensors.h"
#include "core/checkpoint/model_card.h"
#include "core/io/gguf_convert.h"
#include "core/io/gguf_vocabulary.h"
#include "core/io/json_file.h"
#include "core/io/mapped_file.h"
#include "core/model/description.h"
#include "core/text/model_tokenizer.h"

namespace kvista {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMaximumJsonBytes = std::size_t{256} << 20;

/// Names and shapes of tensors that are still to be written.
class ListedTensors final : public TensorStore {
 public:
  ListedTensors(const std::vector<TensorToWrite>& tensors, const fs::path& file) {
    for (const TensorToWrite& tensor : tensors)
      infos_.emplace(tensor.name, TensorInfo{tensor.name, tensor.shape, tensor.type, file});
  }
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return infos_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo&) const override { return {}; }
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float>) const override {
    return fail(ErrorCode::internal, fmt::format("Tensor {} is not written yet.", tensor.name));
  }

 private:
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

/// A decoder as transformers' classes name its tensors, and these in the order of use.
struct Model {
  DecoderDescription description;
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> notes;
};

Result<Model> modelOf(const json& config, std::vector<TensorToWrite> tensors, const fs::path& source) {
  const Checkpoint written{.path = source,
                           .config = config,
                           .tensors = std::make_shared<ListedTensors>(tensors, source),
                           .files = {},
                           .warnings = {}};
  KVISTA_ASSIGN(const DecoderDescription found, describe(written));
  Model model;
  KVISTA_ASSIGN(model.description, describeConfig(config, fmt::format("config.json of {}", source.string())));
  // A multimodal model's head may be stored though its configuration calls it tied.
  if (found.head.linear.weight != found.embedding.weight &&
      model.description.head.linear.weight == model.description.embedding.weight)
    model.description.head.linear.weight = "lm_head.weight";
  const std::vector<RequiredTensor> theirs = storedTensors(found), usual = storedTensors(model.description);
  if (theirs.size() != usual.size())
    return fail(ErrorCode::internal, fmt::format("A model has {} tensors, or {}.", theirs.size(), usual.size()));
  std::map<std::string_view, TensorToWrite*> byName;
  for (TensorToWrite& tensor : tensors) byName.emplace(tensor.name, &tensor);
  for (std::size_t i = 0; i < usual.size(); ++i) {
    model.tensors.push_back(*byName.at(theirs[i].name));
    model.tensors.back().name = usual[i].name;
  }
  if (config.contains("text_config") && tensors.size() > usual.size())
    model.notes.push_back(fmt::format("The file holds the model's text part; its {} other tensors are left out.",
                                      tensors.size() - usual.size()));
  return model;
}

/// Numbers of the tables that stand first in the file, behind what stands before all tensors.
Result<std::string> withTables(std::string beginning, const std::vector<TensorToWrite>& tables) {
  for (const TensorToWrite& table : tables) {
    KVISTA_ASSIGN(const auto bytes, table.produce());
    beginning.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    beginning.resize((beginning.size() + 31) / 32 * 32, '\0');
  }
  return beginning;
}

/// The model in the words of one architecture, without its tokenizer; refused where reading them gives another model.
Result<GgufContent> inArchitecture(const Model& model, const json& config, const GgufArchitecture& architecture) {
  KVISTA_ASSIGN(GgufModelMetadata described, describeInGguf(model.description, config, architecture));
  KVISTA_ASSIGN(const std::vector<TensorToWrite> weights,
                tensorsInGguf(model.tensors, model.description, architecture));
  GgufContent content{.metadata = std::move(described.metadata), .tensors = described.tensors, .notes = model.notes};
  content.notes.insert(content.notes.end(), described.notes.begin(), described.notes.end());
  content.tensors.insert(content.tensors.end(), weights.begin(), weights.end());
  KVISTA_ASSIGN(std::string beginning, ggufBeginning(content.metadata, content.tensors));
  KVISTA_ASSIGN(beginning, withTables(std::move(beginning), described.tensors));
  const std::string name = fmt::format("a GGUF file of the architecture '{}'", architecture.name);
  KVISTA_ASSIGN(const GgufFile file, GgufFile::fromBeginning(std::move(beginning), name));
  KVISTA_ASSIGN(const json said, ggufConfig(file));
  KVISTA_ASSIGN(const DecoderDescription readBack, describeConfig(said, "metadata of " + name));
  const std::string difference = firstDifference(readBack, model.description);
  if (difference.empty()) return content;
  return fail(ErrorCode::unsupportedModel, fmt::format("GGUF's architecture '{}' does not say {} as the model has it.",
                                                       architecture.name, difference));
}

/// In the words of the first architecture that has words for all of it: those of the model's own family first.
Result<GgufContent> inAnyArchitecture(const Model& model, const json& config) {
  const std::string& family = model.description.shape.family;
  std::optional<Error> closest;  // of the model's own architecture, or of one with the same tensors
  for (const bool isOwn : {true, false})
    for (const GgufArchitecture& architecture : ggufArchitectures()) {
      if ((architecture.modelType == family) != isOwn) continue;
      if (!isOwn && !tensorsInGguf(model.tensors, model.description, architecture)) continue;
      auto content = inArchitecture(model, config, architecture);
      if (content || content.error().code == ErrorCode::invalidArgument) return content;
      if (!closest) closest = content.error();
    }
  return fail(ErrorCode::unsupportedModel,
              fmt::format("This {} model cannot be a GGUF file: {}", family,
                          closest ? closest->message : "llama.cpp has no architecture that computes the same."),
              "Export with --container safetensors.");
}

Result<json> jsonOr(const fs::path& file, json absent) {
  std::error_code error;
  if (!fs::exists(file, error)) return absent;
  return readJsonFile(file, kMaximumJsonBytes);
}

Result<GgufTokenizer> tokenizerFiles(const Checkpoint& source) {
  if (source.format == Checkpoint::Format::gguf) return readGgufTokenizer(source.companions());
  const fs::path& folder = source.companions();
  std::error_code error;
  if (!fs::exists(folder / "tokenizer.json", error) && fs::exists(folder / "tokenizer.model", error)) {
    KVISTA_CHECK(tokenizerOf(source));  // says what to do about it
  }
  GgufTokenizer files;
  KVISTA_ASSIGN(files.tokenizer, jsonOr(folder / "tokenizer.json", nullptr));
  KVISTA_ASSIGN(files.tokenizerConfig, jsonOr(folder / "tokenizer_config.json", json::object()));
  KVISTA_ASSIGN(const json special, jsonOr(folder / "special_tokens_map.json", json::object()));
  if (!files.tokenizerConfig.is_object()) files.tokenizerConfig = json::object();
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"})
    if (!files.tokenizerConfig.contains(key) && special.is_object() && special.contains(key))
      files.tokenizerConfig[key] = special[key];
  if (const fs::path chat = folder / "chat_template.jinja"; fs::exists(chat, error)) {
    KVISTA_ASSIGN(const MappedFile text, MappedFile::open(chat));
    files.tokenizerConfig["chat_template"] =
        std::string(reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size());
  }
  return files;
}

/// Ids of tokens that end a text, as generation_config.json has them, or else the configuration.
Result<std::vector<std::size_t>> endIds(const json& config, const Checkpoint& source) {
  json generation = json::object();
  if (source.format != Checkpoint::Format::gguf) {
    KVISTA_ASSIGN(generation, jsonOr(source.companions() / "generation_config.json", json::object()));
  }
  std::vector<std::size_t> ids;
  for (const json* from : std::array<const json*, 2>{&generation, &config}) {
    if (!ids.empty() || !from->is_object() || !from->contains("eos_token_id")) continue;
    const json& given = (*from)["eos_token_id"];
    for (const json& id : given.is_array() ? given : json::array({given}))
      if (id.is_number_unsigned()) ids.push_back(id.get<std::size_t>());
  }
  return ids;
}

/// Text of several kinds, on which the vocabulary must do what the tokenizer does.
constexpr std::array<std::string_view, 6> kProbes = {
    "The quick brown fox jumps over the lazy dog.",
    "  Spaces,\ttabs\nand  123456 numbers; it's 3.14% of $1,000!\r\n\r\nDone?",
    "na\u00efve caf\u00e9 \u00dcber stra\u00dfe \u0441\u044a\u0435\u0448\u044c \u0436\u0435 \u4f60\u597d\u4e16\u754c "
    "\u3053\u3093\u306b\u3061\u306f \U0001f600",
    "def f(x):\n    return {\"a\": [x, x ** 2]}  # comment",
    "I'LL we've DON'T  CamelCaseWords snake_case_words",
    "",
};

Result<void> checkTokenizer(const GgufContent& content, const Checkpoint& source) {
  KVISTA_ASSIGN(std::string beginning, ggufBeginning(content.metadata, content.tensors));
  KVISTA_ASSIGN(const GgufFile file, GgufFile::fromBeginning(std::move(beginning), "the vocabulary of a GGUF file"));
  KVISTA_ASSIGN(const GgufTokenizer said, ggufTokenizer(file));
  KVISTA_ASSIGN(const Tokenizer readBack, Tokenizer::fromJson(said.tokenizer, file.path().string()));
  KVISTA_ASSIGN(const Tokenizer meant, tokenizerOf(source));
  for (const std::string_view text : kProbes) {
    KVISTA_ASSIGN(const auto expected, meant.encode(text, false));
    KVISTA_ASSIGN(const auto found, readBack.encode(text, false));
    if (found != expected)
      return fail(
          ErrorCode::unsupportedModel,
          fmt::format("The tokenizer cannot be written into a GGUF file: {} would become the tokens {} in place of {}.",
                      quoteForMessage(text), fmt::join(found, " "), fmt::join(expected, " ")),
          "Export with --container safetensors.");
  }
  return {};
}

/// llama.cpp's number of the type that most of the matrices have.
std::uint32_t fileType(const std::vector<TensorToWrite>& tensors) {
  std::map<DataType, std::int64_t> numbers;
  for (const TensorToWrite& tensor : tensors) {
    std::int64_t count = tensor.shape.size() > 1 ? 1 : 0;
    for (const std::int64_t length : tensor.shape) count *= length;
    numbers[tensor.type] += count;
  }
  const auto most = std::ranges::max_element(numbers, {}, [](const auto& entry) { return entry.second; });
  return most->first == DataType::f16 ? 1 : most->first == DataType::bf16 ? 32 : 0;
}

}  // namespace

Result<GgufContent> contentOfGguf(const json& config, std::vector<TensorToWrite> tensors, const Checkpoint& source) {
  KVISTA_ASSIGN(const Model model, modelOf(config, std::move(tensors), source.path));
  KVISTA_ASSIGN(GgufContent content, inAnyArchitecture(model, config));
  content.metadata.set("general.name", nameOfOriginal(source));
  content.metadata.set("general.file_type", fileType(content.tensors));
  KVISTA_ASSIGN(const GgufTokenizer files, tokenizerFiles(source));
  KVISTA_ASSIGN(const std::vector<std::size_t> ends, endIds(config, source));
  KVISTA_ASSIGN(
      const std::vector<std::string> notes,
      addGgufVocabulary(files, static_cast<std::size_t>(model.description.shape.vocabulary), ends, content.metadata));
  content.notes.insert(content.notes.end(), notes.begin(), notes.end());
  if (!files.tokenizer.is_null()) KVISTA_CHECK(checkTokenizer(content, source));
  return content;
}

}  // namespace kvista
