// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/chat_template.h"

#include <array>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "core/io/gguf.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

struct Template {
  const char* name;
  const char* mark;  ///< What its text holds and others' do not.
  const char* before;
  const char* after;
};

constexpr std::array<Template, 2> kTemplates = {
    {{"chatml", "<|im_start|>", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"},
     {"llama3", "<|start_header_id|>", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
      "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"}}};

constexpr std::size_t kLargestConfig = std::size_t{16} << 20;

/// The template's own text; empty where there is none that can be read.
std::string textOf(const Checkpoint& checkpoint) {
  nlohmann::json config;
  if (checkpoint.format == Checkpoint::Format::gguf) {
    if (auto tokenizer = readGgufTokenizer(checkpoint.path)) config = std::move(tokenizer->tokenizerConfig);
  } else {
    std::ifstream own(checkpoint.path / "chat_template.jinja", std::ios::binary);
    if (own) return {std::istreambuf_iterator<char>(own), {}};
    if (auto read = readJsonFile(checkpoint.path / "tokenizer_config.json", kLargestConfig)) config = *std::move(read);
  }
  if (!config.is_object() || !config.contains("chat_template")) return {};
  const nlohmann::json& text = config["chat_template"];
  return text.is_string() ? text.get<std::string>() : text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string chatTemplateOf(const Checkpoint& checkpoint) {
  const std::string text = textOf(checkpoint);
  for (const Template& each : kTemplates)
    if (text.find(each.mark) != std::string::npos) return each.name;
  return {};
}

Result<std::string> inChatTemplate(const std::string& name, const std::string& prompt) {
  for (const Template& each : kTemplates)
    if (name == each.name) return each.before + prompt + each.after;
  return fail(ErrorCode::invalidArgument, "The model has no chat template that is known here.",
              fmt::format("Ask for a text that goes on instead; known are {} and {}.", kTemplates[0].name, kTemplates[1].name));
}

}  // namespace kvista
