// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// How a chat model wants to be spoken to, by the marks that its template uses: "chatml", "llama3", or empty for a model
/// without a template or with one that is not among these. Templates are programs of the model's own; none is executed.
std::string chatTemplateOf(const Checkpoint& checkpoint);

/// One question of the user in the words of the template, up to where the model answers.
Result<std::string> inChatTemplate(const std::string& name, const std::string& prompt);

}  // namespace kvista
