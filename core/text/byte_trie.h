// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace kvista {

/// An immutable trie of byte strings with a number each; 12 bytes a node, at most one node a byte of the strings.
class ByteTrie {
 public:
  /// `entries` need not be sorted; of equal strings the first counts. Empty strings are left out.
  explicit ByteTrie(std::vector<std::pair<std::string_view, std::uint32_t>> entries);
  ByteTrie() : ByteTrie(std::vector<std::pair<std::string_view, std::uint32_t>>{}) {}

  /// Calls `found(length, value)` for each string that `text` starts with, shortest first.
  template <class Found>
  void forEachPrefix(std::string_view text, Found found) const;
  [[nodiscard]] bool empty() const { return nodes_.size() <= 1; }

 private:
  struct Node {
    std::uint32_t children = 0;  ///< Index of the first; they lie together, sorted by byte.
    std::uint16_t childCount = 0;
    std::uint8_t byte = 0;
    bool terminal = false;
    std::uint32_t value = 0;
  };
  [[nodiscard]] const Node* child(const Node& node, std::uint8_t byte) const;

  std::vector<Node> nodes_;
};

template <class Found>
void ByteTrie::forEachPrefix(std::string_view text, Found found) const {
  const Node* node = nodes_.data();
  for (std::size_t length = 0; length < text.size(); ++length) {
    node = child(*node, static_cast<std::uint8_t>(text[length]));
    if (node == nullptr) return;
    if (node->terminal) found(length + 1, node->value);
  }
}

}  // namespace kvista
