// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// A page of the manual: Markdown, without the lines about its licence.
struct HelpPage {
  std::string name;   ///< "policies"
  std::string title;  ///< "Policies"
  std::string text;
};

/// The manual beside this program, that of an installation or of the sources of a build, by name. Errors (io): there is
/// none, or it cannot be read.
Result<std::vector<HelpPage>> readHelpPages();

/// The section whose heading begins with this number, or has these words; empty where there is none.
std::string sectionOf(const HelpPage& page, std::string_view section);

/// What the pages say of a method, policy, measure or anything else that they name: sections with it in their heading,
/// paragraphs that begin with it and rows of tables; where there are none of these, whatever mentions it. Empty:
/// nothing does.
std::string helpAbout(const std::vector<HelpPage>& pages, std::string_view name);

/// All names that `helpAbout` has an answer to.
std::vector<std::string> namesInHelp(const std::vector<HelpPage>& pages);

}  // namespace kvista
