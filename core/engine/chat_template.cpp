// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/chat_template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/io/gguf.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

/// A system's turn before the first of the user, in forms that have no place of its own for it.
std::string withSystem(const std::vector<ChatTurn>& turns, std::size_t turn) {
  return turn == 1 && turns[0].role == "system" ? turns[0].content + "\n\n" + turns[1].content : turns[turn].content;
}

std::string chatml(const ChatTemplate&, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns) text += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", turn.role, turn.content);
  return text + "<|im_start|>assistant\n";
}

std::string llama3(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (const ChatTurn& turn : turns)
    text += fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>", turn.role, turn.content);
  return text + "<|start_header_id|>assistant<|end_header_id|>\n\n";
}

std::string mistral(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role == "user") text += fmt::format("[INST] {} [/INST]", withSystem(turns, i));
    if (turns[i].role == "assistant") text += turns[i].content + form.end;
  }
  return text;
}

std::string zephyr(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns) text += fmt::format("<|{}|>\n{}{}\n", turn.role, turn.content, form.end);
  return text + "<|assistant|>\n";
}

std::string tulu(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (const ChatTurn& turn : turns)
    text += fmt::format("<|{}|>\n{}{}\n", turn.role, turn.content, turn.role == "assistant" ? form.end : "");
  return text + "<|assistant|>\n";
}

std::string llama2(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const bool followsSystem = i == 1 && turns[0].role == "system";
    const std::string system = followsSystem ? fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n", turns[0].content) : "";
    if (turns[i].role == "user") text += fmt::format("{}[INST] {}{} [/INST]", form.begin, system, turns[i].content);
    if (turns[i].role == "assistant") text += fmt::format(" {} {}", turns[i].content, form.end);
  }
  return text;
}

std::string gemma(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (std::size_t i = 0; i < turns.size(); ++i)
    if (turns[i].role != "system")
      text += fmt::format("<start_of_turn>{}\n{}<end_of_turn>\n", turns[i].role == "user" ? "user" : "model",
                          withSystem(turns, i));
  return text + "<start_of_turn>model\n";
}

std::string phi3(const ChatTemplate&, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns) text += fmt::format("<|{}|>\n{}<|end|>\n", turn.role, turn.content);
  return text + "<|assistant|>\n";
}

std::string phi4(const ChatTemplate&, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns)
    text += fmt::format("<|im_start|>{}<|im_sep|>{}<|im_end|>", turn.role, turn.content);
  return text + "<|im_start|>assistant<|im_sep|>";
}

std::string phi4Mini(const ChatTemplate&, const std::vector<ChatTurn>& turns) {
  std::string text;
  for (const ChatTurn& turn : turns) text += fmt::format("<|{}|>{}<|end|>", turn.role, turn.content);
  return text + "<|assistant|>";
}

std::string deepseek(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (const ChatTurn& turn : turns) {
    if (turn.role == "system") text += turn.content + "\n\n";
    if (turn.role == "user") text += fmt::format("User: {}\n\n", turn.content);
    if (turn.role == "assistant") text += fmt::format("Assistant: {}{}", turn.content, form.end);
  }
  return text + "Assistant:";
}

std::string commandR(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  std::string text = form.begin;
  for (const ChatTurn& turn : turns) {
    const char* role = turn.role == "system" ? "SYSTEM" : turn.role == "user" ? "USER" : "CHATBOT";
    text += fmt::format("<|START_OF_TURN_TOKEN|><|{}_TOKEN|>{}<|END_OF_TURN_TOKEN|>", role, turn.content);
  }
  return text + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>";
}

struct Form {
  const char* name;
  std::vector<std::string> marks;   ///< Its text holds all of these,
  std::vector<std::string> others;  ///< and none of these, by which forms differ that share marks.
  std::string (*write)(const ChatTemplate&, const std::vector<ChatTurn>&);
  const char* end;  ///< Of a turn, where it is not EOS.
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {"chatml", {"<|im_start|>", "<|im_end|>"}, {"<|im_sep|>"}, chatml, "<|im_end|>"},
      {"llama2", {"[INST]", "[/INST]", "<<SYS>>"}, {}, llama2, ""},
      {"llama3", {"<|start_header_id|>", "<|eot_id|>"}, {}, llama3, "<|eot_id|>"},
      {"mistral", {"[INST]", "[/INST]"}, {"<<SYS>>"}, mistral, ""},
      {"gemma", {"<start_of_turn>", "<end_of_turn>"}, {}, gemma, "<end_of_turn>"},
      {"phi3", {"<|user|>\n", "<|assistant|>\n", "<|end|>"}, {}, phi3, "<|end|>"},
      {"phi4", {"<|im_start|>", "<|im_sep|>", "<|im_end|>"}, {}, phi4, "<|im_end|>"},
      {"phi4-mini",
       {"'<|' + message['role'] + '|>' + message['content'] + '<|end|>'", "<|assistant|>"},
       {},
       phi4Mini,
       "<|end|>"},
      {"deepseek", {"'User: '", "'Assistant: '", "'Assistant:'"}, {}, deepseek, ""},
      {"command-r",
       {"<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"},
       {},
       commandR,
       "<|END_OF_TURN_TOKEN|>"},
      {"tulu", {"<|user|>\n", "<|assistant|>\n", "message['content'] + '\n'"}, {"<|end|>", "[gMASK]"}, tulu, ""},
      {"zephyr", {"<|user|>", "<|assistant|>"}, {"<|end|>", "[gMASK]", "message['content'] + '\n'"}, zephyr, ""}};
  return all;
}

const Form* findForm(const std::string& name) {
  const auto found = std::ranges::find(forms(), name, &Form::name);
  return found == forms().end() ? nullptr : &*found;
}

std::string knownForms() {
  std::vector<std::string> names;
  for (const Form& each : forms()) names.emplace_back(each.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

constexpr std::size_t kLargestConfig = std::size_t{16} << 20;

/// A token's text: the configuration says it alone or with how it is matched.
std::string tokenText(const nlohmann::json& config, const char* field) {
  if (!config.is_object() || !config.contains(field)) return {};
  const nlohmann::json& token = config[field];
  if (token.is_string()) return token.get<std::string>();
  return token.is_object() && token.contains("content") && token["content"].is_string()
             ? token["content"].get<std::string>()
             : std::string();
}

}  // namespace

ChatTemplate chatTemplateOf(const Checkpoint& checkpoint) {
  nlohmann::json config;
  std::string text;
  if (checkpoint.format == Checkpoint::Format::gguf) {
    if (auto tokenizer = readGgufTokenizer(checkpoint.companions())) config = std::move(tokenizer->tokenizerConfig);
  } else {
    if (auto read = readJsonFile(checkpoint.companions() / "tokenizer_config.json", kLargestConfig))
      config = *std::move(read);
    std::error_code error;
    const auto own = checkpoint.companions() / "chat_template.jinja";
    if (std::filesystem::file_size(own, error) <= kLargestConfig && !error) {
      std::ifstream stream(own, std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(stream), {});
    }
  }
  if (text.empty() && config.is_object() && config.contains("chat_template")) {
    const nlohmann::json& kept = config["chat_template"];
    // Some models have several, by name.
    text = kept.is_string() ? kept.get<std::string>()
                            : kept.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  // A line's end inside a quoted word stands there as itself or as its escape.
  for (std::size_t place = 0; (place = text.find("\\n", place)) != std::string::npos;) text.replace(place, 2, "\n");
  const auto holds = [&](const std::string& mark) { return text.find(mark) != std::string::npos; };
  for (const Form& form : forms())
    if (std::ranges::all_of(form.marks, holds) && std::ranges::none_of(form.others, holds))
      return {form.name, tokenText(config, "bos_token"), tokenText(config, "eos_token"), {}};
  ChatTemplate none;
  if (!text.empty())
    none.problem =
        fmt::format("The model's chat template is of a form that is not known here; known are {}.", knownForms());
  return none;
}

Result<std::string> inChatTemplate(const ChatTemplate& form, const std::vector<ChatTurn>& turns) {
  const Form* known = findForm(form.name);
  if (!known)
    return fail(ErrorCode::invalidArgument, form.problem.empty() ? "The model has no chat template." : form.problem,
                fmt::format("Ask for a text that goes on instead{}.",
                            form.problem.empty() ? "; templates that are known are " + knownForms() : ""));
  const std::size_t first = !turns.empty() && turns[0].role == "system" ? 1 : 0;
  for (std::size_t i = first; i < turns.size(); ++i) {
    const char* expected = (i - first) % 2 == 0 ? "user" : "assistant";
    if (turns[i].role != expected)
      return fail(
          ErrorCode::invalidArgument,
          fmt::format("Turn {} of the conversation is of \"{}\", where \"{}\" was expected.", i + 1, turns[i].role,
                      expected),
          "Give turns of user and assistant alternately, the user's first, before them at most one of the system.");
  }
  if ((turns.size() - first) % 2 == 0)
    return fail(ErrorCode::invalidArgument, "The conversation does not end with a turn of the user.",
                "Leave out the last turn, or add what is asked next.");
  return known->write(form, turns);
}

std::string endOfTurn(const ChatTemplate& form) {
  const Form* known = findForm(form.name);
  return known ? known->end : std::string();
}

}  // namespace kvista
