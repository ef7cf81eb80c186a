// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace kvista {

/// What the header of a model card (README.md) says that belongs to whatever is made from the model as well.
struct CardHeader {
  std::string license, licenseName, licenseLink;
  std::vector<std::string> baseModels, languages, tags;

  bool operator==(const CardHeader&) const = default;
};

/// Reads the lines between the first two "---" of a card: words, lists in brackets and lists of "- " lines under the
/// keys above. What is written in another way (anchors, nested objects, texts over several lines) counts as not there,
/// and so does everything else.
CardHeader readCardHeader(std::string_view card);

/// The header of README.md beside the checkpoint's tokenizer; without such a file an empty one. Errors: io.
Result<CardHeader> cardHeaderOf(const Checkpoint& checkpoint);

/// The header as YAML with its "---" lines. Every text is in double quotes as JSON writes it, which YAML reads alike.
std::string writeCardHeader(const CardHeader& header);

}  // namespace kvista
