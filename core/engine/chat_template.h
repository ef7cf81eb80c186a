// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// How a chat model wants to be spoken to. Templates are programs of the model's own; none is executed. The forms that
/// are known are recognised by the marks that a template's text holds.
struct ChatTemplate {
  std::string name;        ///< Such as "chatml" or "llama3"; empty for a model without any, or with another.
  std::string begin, end;  ///< The model's BOS and EOS, as texts, where the form uses them.
  /// Why a template that the model has is not used, in a sentence; empty for a model without any.
  std::string problem;
};
ChatTemplate chatTemplateOf(const Checkpoint& checkpoint);

struct ChatTurn {
  std::string role;  ///< "system" (only the first), "user", "assistant".
  std::string content;
};

/// A conversation in the words of the template, up to where the model answers its last turn, the user's. Errors
/// (invalidArgument): no template, or one of another form; turns that do not alternate.
Result<std::string> inChatTemplate(const ChatTemplate& form, const std::vector<ChatTurn>& turns);

/// What a model of this form writes at the end of its turn; empty for EOS.
std::string endOfTurn(const ChatTemplate& form);

}  // namespace kvista
