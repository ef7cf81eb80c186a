// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/help_pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace kvista {
namespace {

namespace fs = std::filesystem;

/// A heading, or lines up to an empty one; code between fences is one block.
struct Block {
  int level = 0;  ///< Of a heading: how many signs it has.
  std::vector<std::string> lines;
  [[nodiscard]] bool isTable() const { return lines.size() > 2 && lines.front().starts_with('|'); }
  [[nodiscard]] std::string text() const { return fmt::format("{}\n", fmt::join(lines, "\n")); }
};

std::vector<std::string> linesOf(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::vector<Block> blocksOf(const HelpPage& page) {
  std::vector<Block> blocks;
  bool isOpen = false, isCode = false;
  for (std::string& line : linesOf(page.text)) {
    const int level = isCode ? 0 : static_cast<int>(std::min(line.find_first_not_of('#'), line.size()));
    if (line.starts_with("```")) isCode = !isCode;
    if (line.empty() && !isCode) {
      isOpen = false;
      continue;
    }
    if (!isOpen || level > 0) blocks.push_back({level, {}});
    isOpen = level == 0;
    blocks.back().lines.push_back(std::move(line));
  }
  return blocks;
}

/// Where the section ends that the heading at `begin` opens.
std::size_t endOfSection(const std::vector<Block>& blocks, std::size_t begin) {
  std::size_t end = begin + 1;
  while (end < blocks.size() && (blocks[end].level == 0 || blocks[end].level > blocks[begin].level)) ++end;
  return end;
}

std::string joined(const std::vector<Block>& blocks, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) {
    if (i > begin && blocks[i - 1].level == 0) text += '\n';
    text += blocks[i].text();
  }
  return text;
}

std::string inSmallLetters(std::string_view text) {
  std::string small(text);
  for (char& letter : small) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return small;
}

std::string_view firstCell(std::string_view row) { return row.substr(0, row.find('|', 1)); }

/// The table with those rows only that a test holds for; empty where there are none.
template <class Test>
std::string rowsWhere(const Block& table, const Test& test) {
  Block some{0, {table.lines[0], table.lines[1]}};
  std::copy_if(table.lines.begin() + 2, table.lines.end(), std::back_inserter(some.lines), test);
  return some.lines.size() > 2 ? some.text() : std::string();
}

/// What is said of `name` itself or, with `mentions`, wherever it stands.
std::string about(const HelpPage& page, std::string_view name, bool mentions) {
  const std::string quoted = fmt::format("`{}`", name), bold = fmt::format("**{}**", name);
  const auto has = [&](std::string_view text) { return text.find(quoted) != std::string_view::npos; };
  const std::string title = inSmallLetters(name) + ':';  // "## KV-CoRE: ..." is about kv-core
  const auto isTitled = [&](std::string_view heading) {
    return inSmallLetters(heading.substr(heading.find(' ') + 1)).starts_with(title);
  };
  const std::vector<Block> blocks = blocksOf(page);
  std::string found, section = page.title;
  const auto add = [&](const std::string& text) {
    if (!text.empty()) found += fmt::format("{}{}:\n\n{}", found.empty() ? "" : "\n", section, text);
  };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = blocks[i];
    if (block.level > 1)
      section = fmt::format("{}, {}", page.title, block.lines.front().substr(block.lines.front().find(' ') + 1));
    if (block.level > 0 && (has(block.lines.front()) || isTitled(block.lines.front()))) {
      const std::size_t end = endOfSection(blocks, i);
      add(joined(blocks, i + 1, end));
      i = end - 1;
    } else if (block.isTable()) {
      add(rowsWhere(block, [&](std::string_view row) { return has(mentions ? row : firstCell(row)); }));
    } else if (block.lines.front().starts_with(bold) || (mentions && block.level == 0 && has(block.text()))) {
      add(block.text());
    }
  }
  return found;
}

std::string aboutIn(const std::vector<HelpPage>& pages, std::string_view name, bool mentions) {
  std::string all;
  for (const HelpPage& page : pages) {
    const std::string found = about(page, name, mentions);
    if (!found.empty() && !all.empty()) all += '\n';
    all += found;
  }
  return all;
}

}  // namespace

Result<std::vector<HelpPage>> readHelpPages() {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path installed = (here / "../share/kvista/help").lexically_normal(),
                 sources = (here / "../../../resources/help").lexically_normal();
  const fs::path folder = fs::exists(installed / "overview.md", error) ? installed : sources;
  std::vector<HelpPage> pages;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() != ".md") continue;
    std::ifstream file(entry->path());
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (!file) return fail(ErrorCode::io, fmt::format("The help page {} cannot be read.", entry->path().string()));
    const std::size_t title = text.find("\n# ");
    if (title == std::string::npos) continue;
    text.erase(0, title + 1);
    pages.push_back({entry->path().stem().string(), text.substr(2, text.find('\n') - 2), std::move(text)});
  }
  if (pages.empty())
    return fail(ErrorCode::io, fmt::format("There are no help pages in {}.", installed.string()),
                "They are installed with the program, and lie in resources/help of its sources.");
  std::ranges::sort(pages, {}, &HelpPage::name);
  return pages;
}

std::string sectionOf(const HelpPage& page, std::string_view section) {
  const std::vector<Block> blocks = blocksOf(page);
  const std::string wanted = inSmallLetters(section), number = fmt::format("## {}. ", section);
  const bool isNumber = std::ranges::all_of(section, [](unsigned char letter) { return std::isdigit(letter) != 0; });
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string& heading = blocks[i].lines.front();
    if (blocks[i].level > 1 &&
        (isNumber ? heading.starts_with(number) : inSmallLetters(heading).find(wanted) != std::string::npos))
      return joined(blocks, i, endOfSection(blocks, i));
  }
  return {};
}

std::string helpAbout(const std::vector<HelpPage>& pages, std::string_view name) {
  const std::string itself = aboutIn(pages, name, false);
  return itself.empty() ? aboutIn(pages, name, true) : itself;
}

std::vector<std::string> namesInHelp(const std::vector<HelpPage>& pages) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  std::set<std::string> names;
  for (const HelpPage& page : pages) {
    names.insert(page.name);
    for (const Block& block : blocksOf(page)) {
      const std::string text = block.text();
      if (text.starts_with("```")) continue;
      for (std::size_t begin = text.find('`'), end = 0; begin != std::string::npos; begin = text.find('`', end + 1)) {
        end = text.find('`', begin + 1);
        if (end == std::string::npos) break;
        const std::string name = text.substr(begin + 1, end - begin - 1);
        if (name.size() > 1 && !name.starts_with('-') && name.find_first_not_of(kLetters) == std::string::npos)
          names.insert(name);
      }
      if (text.starts_with("**") && text.find("**", 2) != std::string::npos) {
        const std::string name = text.substr(2, text.find("**", 2) - 2);
        if (name.find_first_not_of(kLetters) == std::string::npos) names.insert(name);
      }
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace kvista
