// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/stored_head.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

namespace kvista {
namespace {

bool haveSameNumbers(const TensorStore& store, const TensorInfo& a, const TensorInfo& b) {
  const auto bytes = store.raw(a), others = store.raw(b);
  if (a.type != b.type || bytes.empty() || bytes.size() != others.size()) return false;
  return bytes.data() == others.data() || std::memcmp(bytes.data(), others.data(), bytes.size()) == 0;
}

}  // namespace

std::string_view prefixOf(std::string_view name) {
  const std::size_t last = name.rfind('.');
  const std::size_t before =
      last == std::string_view::npos || last == 0 ? std::string_view::npos : name.rfind('.', last - 1);
  return before == std::string_view::npos ? std::string_view() : name.substr(0, before + 1);
}

void useStoredHead(DecoderDescription& description, const Checkpoint& checkpoint, bool isMultimodal) {
  const TensorStore& store = *checkpoint.tensors;
  const std::string tied = description.embedding.weight, prefix(prefixOf(tied));
  const bool isTied = description.head.linear.weight == tied;
  for (const std::string& outer : {std::string(prefixOf(prefix + "weight")), std::string()}) {
    const std::string name = outer + "lm_head.weight";
    const auto head = store.tensors().find(name), embedding = store.tensors().find(tied);
    if (head == store.tensors().end()) continue;
    if (isMultimodal) {
      description.head.linear.weight = name;
    } else if (isTied && embedding != store.tensors().end() && head->second.shape == embedding->second.shape &&
               !haveSameNumbers(store, head->second, embedding->second)) {
      description.head.linear.weight = name;
      description.warnings.push_back(fmt::format(
          "config.json says that the head is the embedding, but {} holds {} with other numbers, which are used.",
          head->second.file.string(), name));
      return;
    }
  }
}

}  // namespace kvista
