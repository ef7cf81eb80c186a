// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>

#include "app/cli/option_checks.h"
#include "app/cli/verb.h"
#include "core/checkpoint/export_form.h"
#include "core/checkpoint/make_model.h"
#include "core/compress/layouts.h"
#include "core/compress/measures/measures.h"
#include "core/compress/method.h"
#include "core/model/families/registry.h"
#include "core/plan/allocate.h"
#include "core/plan/cost.h"
#include "core/plan/device_profiles.h"
#include "core/plan/plan_names.h"
#include "core/policy/policy.h"

namespace kvista {
namespace {

struct Options {
  std::string what;
};

struct Entry {
  std::string name;
  std::string summary;
  std::string source;
  std::string formula, unit;              ///< Of measures.
  std::vector<std::string> options = {};  ///< Of policies.
};

template <class Range>
std::vector<Entry> entriesOf(const Range& range) {
  std::vector<Entry> entries;
  for (const auto& item : range) entries.push_back({std::string(item.name), std::string(item.summary), {}, {}, {}});
  return entries;
}

std::string summaryOf(Metric metric) {
  switch (metric) {
    case Metric::identity:
      return "All numbers alike";
    case Metric::fisher:
      return "What the loss feels: the empirical Fisher information of each head; the only one that predicts by "
             "eigenvalues";
    case Metric::query:
      return "Keys: what attention scores feel, by the queries' second moments; values alike";
    case Metric::output:
      return "Values: what the output projection makes of them; keys alike";
    case Metric::attention:
      return "Keys as query has them, values as output";
    case Metric::eigen:
      return "Keys after RoPE: the largest directions of keys and queries together; values: their own";
  }
  return {};
}

const std::map<std::string, std::function<std::vector<Entry>()>>& catalogue() {
  static const std::map<std::string, std::function<std::vector<Entry>()>> lists = {
      {"methods",
       [] {
         std::vector<Entry> entries;
         for (const Method& method : methods())
           entries.push_back(
               {std::string(method.name), std::string(method.summary), std::string(method.source), {}, {}});
         return entries;
       }},
      {"measures",
       [] {
         std::vector<Entry> entries;
         for (const Measure& measure : measures())
           entries.push_back({std::string(measure.name), std::string(measure.summary), std::string(measure.source),
                              std::string(measure.formula), std::string(measure.unit)});
         return entries;
       }},
      {"metrics",
       [] {
         std::vector<Entry> entries;
         for (const auto& [name, metric] : kMetrics)
           entries.push_back({std::string(name), summaryOf(metric), "help page Methods, section 2", {}, {}});
         return entries;
       }},
      {"groupings",
       [] {
         std::vector<Entry> entries;
         for (const auto& [name, summary] : layoutNames())
           entries.push_back({std::string(name), std::string(summary), {}, {}, {}});
         return entries;
       }},
      {"allocators",
       [] {
         std::vector<Entry> entries;
         for (const Allocator& allocator : allocators())
           entries.push_back(
               {std::string(allocator.name), std::string(allocator.summary), std::string(allocator.source), {}, {}});
         return entries;
       }},
      {"policies",
       [] {
         std::vector<Entry> entries;
         for (const Policy& policy : policies()) {
           std::vector<std::string> options;
           for (const PolicyOption& option : policy.allOptions())
             options.push_back(fmt::format("{} ({})", option.name, option.standard.empty() ? "none" : option.standard));
           entries.push_back({std::string(policy.name),
                              std::string(policy.summary),
                              std::string(policy.source),
                              {},
                              {},
                              std::move(options)});
         }
         return entries;
       }},
      {"forms", [] { return entriesOf(exportForms()); }},
      {"families",
       [] {
         std::vector<Entry> entries;
         for (const std::string_view name : familyNames()) entries.push_back({std::string(name), {}, {}, {}, {}});
         return entries;
       }},
      {"shapes", [] { return entriesOf(publishedShapes()); }},
      {"profiles",
       [] {
         std::vector<Entry> entries;
         for (const DeviceProfile& profile : deviceProfiles())
           entries.push_back(
               {profile.name,
                fmt::format("{:.3g} TB/s, {:.3g} TFLOP/s in 16 bits, {:.3g} us a call", profile.bytesPerSecond / 1e12,
                            profile.flopsPerSecond / 1e12, profile.launchSeconds * 1e6),
                isMeasured(profile) ? "as measured by `kvista bench decode`" : "built-in figures",
                {},
                {}});
         return entries;
       }},
  };
  return lists;
}

Result<Output> run(const Options& options, const Task&) {
  Output output;
  output.json = nlohmann::ordered_json::object();
  for (const auto& [what, entries] : catalogue()) {
    if (!options.what.empty() && options.what != what) continue;
    output.text += what + "\n";
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Entry& entry : entries()) {
      output.text += fmt::format("  {:<16} {}\n", entry.name, entry.summary);
      for (const std::string& line : {entry.formula, entry.unit, entry.source})
        if (!line.empty()) output.text += fmt::format("  {:<16}   {}\n", "", line);
      list.push_back({{"name", entry.name}, {"summary", entry.summary}, {"source", entry.source}});
      if (!entry.options.empty()) {
        output.text += fmt::format("  {:<16}   options: {}\n", "", fmt::join(entry.options, ", "));
        list.back()["options"] = entry.options;
      }
      if (!entry.formula.empty()) list.back().update({{"formula", entry.formula}, {"unit", entry.unit}});
    }
    output.json[what] = std::move(list);
  }
  return output;
}

}  // namespace

void addList(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      addVerb(app, invocation, {"list", "What there is to choose from", "kvista list methods"}, options, run);
  std::vector<std::string> names;
  for (const auto& [what, entries] : catalogue()) names.push_back(what);
  verb->add_option("what", options->what, "One of the lists (default: all)")->check(oneOf(std::move(names)));
}

}  // namespace kvista
