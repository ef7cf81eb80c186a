// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/named_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/amount.h"

namespace kvista {

Result<std::vector<NamedText>> namedTexts(const std::vector<std::string>& paths) {
  std::vector<NamedText> texts;
  for (const std::string& path : paths) {
    const std::size_t sign = path.find('=');
    const std::string name = path.substr(0, sign);
    std::error_code error;
    if (sign == std::string::npos || name.empty() || name.find('/') != std::string::npos ||
        std::filesystem::exists(path, error))
      continue;
    auto known = std::ranges::find(texts, name, &NamedText::name);
    if (known == texts.end()) known = texts.insert(known, {name, {}});
    known->paths.push_back(path.substr(sign + 1));
  }
  std::size_t named = 0;
  for (const NamedText& text : texts) named += text.paths.size();
  if (named > 0 && named < paths.size())
    return fail(ErrorCode::invalidArgument,
                fmt::format("Of {} {} a name.", amount(paths.size(), "text"),
                            named == 1 ? "1 has" : fmt::format("{} have", named)),
                "Give all of them as NAME=FILE, or none.");
  return texts;
}

}  // namespace kvista
