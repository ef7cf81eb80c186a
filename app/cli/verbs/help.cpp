// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "app/cli/help_pages.h"
#include "app/cli/nearest_name.h"
#include "app/cli/verb.h"

namespace kvista {
namespace {

struct Options {
  std::string topic, section;
};

Output listed(const std::vector<HelpPage>& pages) {
  Output output;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const HelpPage& page : pages) {
    list.push_back({{"name", page.name}, {"title", page.title}});
    output.text += fmt::format("  {:<16} {}\n", page.name, page.title);
  }
  output.text +=
      "`kvista help PAGE` prints one, `kvista help methods 10` a section of it, `kvista help snapkv` what they say of "
      "a method, policy\n"
      "or measure; `kvista VERB --help` is about a verb's options.\n";
  output.json["pages"] = std::move(list);
  return output;
}

Result<Output> run(const Options& options, const Task&) {
  KVISTA_ASSIGN(const std::vector<HelpPage> pages, readHelpPages());
  if (options.topic.empty()) return listed(pages);
  std::string name = options.topic;
  std::ranges::transform(name, name.begin(),
                         [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const auto page = std::ranges::find(pages, name, &HelpPage::name);
  Output output;
  if (page == pages.end()) {
    if (!options.section.empty())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("There is no help page \"{}\" that could have a section.", options.topic),
                  "`kvista help` lists the pages.");
    output.text = helpAbout(pages, options.topic);
    if (output.text.empty())
      return fail(
          ErrorCode::invalidArgument, fmt::format("No help page speaks of \"{}\".", options.topic),
          fmt::format("{}{}`kvista help` lists the pages; of a verb, see `kvista VERB --help`.",
                      didYouMean(name, namesInHelp(pages)), didYouMean(name, namesInHelp(pages)).empty() ? "" : " "));
  } else if (options.section.empty()) {
    output.text = page->text;
  } else {
    output.text = sectionOf(*page, options.section);
    if (output.text.empty())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The help page {} has no section \"{}\".", page->name, options.section),
                  fmt::format("`kvista help {}` prints all of it.", page->name));
  }
  output.json = {{"topic", options.topic}, {"markdown", output.text}};
  return output;
}

}  // namespace

void addHelp(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = addVerb(
      app, invocation,
      {"help", "Print a page of the manual, or what it says of a method, policy or measure", "kvista help policies"},
      options, run);
  verb->add_option("topic", options->topic,
                   "Page, method, policy, measure or anything else with a name (default: list the pages)");
  verb->add_option("section", options->section, "Of a page: the number of a section, or words of its heading");
}

}  // namespace kvista
