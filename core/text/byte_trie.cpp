// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/byte_trie.h"

#include <algorithm>

namespace kvista {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, std::uint32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first, so that the children of a node come out side by side. A range holds the entries that share a node.
  struct Range {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  nodes_.emplace_back();
  std::vector<Range> ranges{{0, entries.size(), 0}};
  for (std::size_t index = 0; index < nodes_.size(); ++index) {
    Range range = ranges[index];
    if (range.begin < range.end && entries[range.begin].first.size() == range.depth) {
      nodes_[index].terminal = range.depth > 0;
      nodes_[index].value = entries[range.begin].second;
      while (range.begin < range.end && entries[range.begin].first.size() == range.depth) ++range.begin;
    }
    nodes_[index].children = static_cast<std::uint32_t>(nodes_.size());
    while (range.begin < range.end) {
      const char byte = entries[range.begin].first[range.depth];
      std::size_t end = range.begin;
      while (end < range.end && entries[end].first[range.depth] == byte) ++end;
      Node child;
      child.byte = static_cast<std::uint8_t>(byte);
      nodes_.push_back(child);
      ranges.push_back({range.begin, end, range.depth + 1});
      ++nodes_[index].childCount;
      range.begin = end;
    }
  }
  nodes_.shrink_to_fit();
}

const ByteTrie::Node* ByteTrie::child(const Node& node, std::uint8_t byte) const {
  const Node* begin = nodes_.data() + node.children;
  const Node* end = begin + node.childCount;
  const Node* found = std::lower_bound(begin, end, byte, [](const Node& a, std::uint8_t b) { return a.byte < b; });
  return found != end && found->byte == byte ? found : nullptr;
}

}  // namespace kvista
