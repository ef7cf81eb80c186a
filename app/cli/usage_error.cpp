// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "app/cli/usage_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/nearest_name.h"

namespace kvista {
namespace {

std::string inCapitals(std::string text) {
  for (char& letter : text)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  return text;
}

std::string spoken(const CLI::Option& option) {
  return option.get_positional() ? inCapitals(option.get_name()) : option.get_name();
}

/// The verb that was named, and how to speak of it.
struct Named {
  const CLI::App* verb;
  std::string command;  ///< "kvista plan"
  std::string help;     ///< "See `kvista plan --help`."
};

Named namedIn(const CLI::App& app) {
  const CLI::App* verb = nullptr;
  std::string command = "kvista";
  for (std::vector<CLI::App*> parsed = app.get_subcommands(); !parsed.empty(); parsed = verb->get_subcommands()) {
    verb = parsed.front();
    command += " " + verb->get_name();
  }
  return {verb, command, fmt::format("See `{} --help`.", command)};
}

Error wrong(std::string message, std::string_view hint, std::string_view more = {}) {
  return {ErrorCode::invalidArgument,
          std::move(message),
          {},
          fmt::format("{}{}{}", hint, hint.empty() || more.empty() ? "" : " ", more)};
}

std::vector<const CLI::Option*> optionsOf(const CLI::App& app, const Named& named) {
  std::vector<const CLI::Option*> options = app.get_options();
  if (named.verb)
    for (const CLI::Option* option : named.verb->get_options()) options.push_back(option);
  return options;
}

Error unknownWord(const CLI::App& app, const Named& named, std::string word) {
  if (word.starts_with('-')) {
    word.resize(std::min(word.size(), word.find('=')));
    std::vector<std::string> names;
    for (const CLI::Option* option : optionsOf(app, named))
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    return wrong(fmt::format("There is no option {} for `{}`.", word, named.command), didYouMean(word, names),
                 named.help);
  }
  const bool isPart = named.verb && !named.verb->get_subcommands({}).empty();
  if (named.verb && !isPart)
    return wrong(fmt::format("`{}` has no use for the word \"{}\".", named.command, word),
                 "Put it behind an option, or in quotes if it is part of a name with spaces.", named.help);
  std::vector<std::string> verbs;
  for (const CLI::App* verb : (isPart ? *named.verb : app).get_subcommands({})) verbs.push_back(verb->get_name());
  return wrong(isPart ? fmt::format("`{}` has no part \"{}\".", named.command, word)
                      : fmt::format("There is no verb \"{}\".", word),
               didYouMean(word, verbs), named.help);
}

Error missing(const Named& named, std::string_view fallback) {
  if (!named.verb)
    return wrong("No verb was given.", "Start with `kvista compress MODEL --text FILE --times-smaller 8 -o FOLDER`.",
                 named.help);
  std::vector<std::string> needed, parts;
  for (const CLI::App* part : named.verb->get_subcommands({})) parts.push_back(part->get_name());
  if (!parts.empty())
    return wrong(fmt::format("`{}` needs to be told what: {}.", named.command, fmt::join(parts, " or ")), {},
                 named.help);
  for (const CLI::Option* option : named.verb->get_options())
    if (option->get_required() && option->count() == 0)
      needed.push_back(fmt::format("{} ({})", spoken(*option), option->get_description()));
  if (needed.empty()) return wrong(fmt::format("{}.", fallback), {}, named.help);
  return wrong(fmt::format("`{}` needs {}.", named.command, fmt::join(needed, ", and ")), {}, named.help);
}

}  // namespace

Error usageError(const CLI::App& app, const CLI::ParseError& error) {
  const Named named = namedIn(app);
  // A mistyped option also leaves the right one missing; the typing error is what a person wants to hear of.
  std::vector<std::string> unknown = app.remaining(true);
  if (!named.verb) std::erase(unknown, "--json");  // every verb has it
  if (!unknown.empty()) return unknownWord(app, named, unknown.front());
  if (dynamic_cast<const CLI::RequiredError*>(&error)) return missing(named, error.what());

  const std::string_view said = error.what();
  const std::size_t colon = said.find(": ");
  const std::string_view name = said.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? std::string_view() : said.substr(colon + 2);
  const CLI::Option* option = nullptr;
  for (const CLI::Option* each : optionsOf(app, named))
    if (each->get_name() == name) option = each;
  if (option && dynamic_cast<const CLI::ValidationError*>(&error)) {
    const std::size_t end = rest.find('\n');
    const std::string_view hint = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return wrong(fmt::format("{} is {}", spoken(*option), rest.substr(0, end)), hint, named.help);
  }
  if (option && dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    if (option->count() > 1)
      return wrong(fmt::format("{} was given {} times, but takes one value.", name, option->count()), {}, named.help);
    return wrong(fmt::format("{} needs a value ({}).", name, option->get_description()), {}, named.help);
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error))
    return wrong(fmt::format("{}, so give one of the two.", said), {}, named.help);
  return wrong(fmt::format("The command line is not understood: {}.", said), {}, named.help);
}

}  // namespace kvista
