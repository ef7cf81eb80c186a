// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace kvista {
namespace {

/// Length of the UTF-8 character at the beginning of `text`, 0 where there is none.
std::size_t characterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80                      ? 1
                             : byte(0) >= 0xc2 && byte(0) < 0xe0 ? 2
                             : byte(0) >= 0xe0 && byte(0) < 0xf0 ? 3
                             : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4
                                                                 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (length == 3 && ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f))) return 0;
  if (length == 4 && ((byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f))) return 0;
  return length;
}

const char* colourOf(int bits) {
  return bits >= 8 ? "#123a6b" : bits >= 4 ? "#2563a8" : bits >= 2 ? "#4f9ad0" : bits >= 1 ? "#a6cfe8" : "#dfe3e8";
}

struct Direction {
  double eigenvalue;
  int bits;
};

constexpr const char* kStyle = R"(
:root { color-scheme: light; }
body { margin: 0; background: #f4f5f7; color: #18212e; font: 13px/1.5 Inter, "Segoe UI", system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1080px; margin: 32px auto; padding: 0 24px; }
h1 { font-size: 20px; font-weight: 600; margin: 0 0 4px; }
h2 { font-size: 12.5px; font-weight: 600; margin: 0 0 12px; }
section { background: #fff; border: 1px solid #e2e5ea; border-radius: 8px; padding: 16px 20px; margin: 16px 0; }
.soft, figcaption, .axis, th { color: #5a6675; fill: #5a6675; font-size: 11px; font-weight: 400; }
.figures { display: flex; flex-wrap: wrap; gap: 40px; }
.figures b { display: block; font-size: 20px; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid #e2e5ea; vertical-align: top; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
.key, .value { border-radius: 6px; padding: 1px 6px; margin-right: 2px; white-space: nowrap; }
.key { background: #e8eefc; color: #1f47a8; }
.value { background: #e4f4ef; color: #136a52; }
.warning { color: #b45309; }
.wide { width: 100%; height: auto; }
.grid { stroke: #e2e5ea; }
.legend span { margin-right: 16px; } .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.matrices { display: grid; grid-template-columns: repeat(auto-fill, minmax(72px, 1fr)); gap: 8px; }
figure { margin: 0; } figure svg { width: 100%; display: block; }
pre { white-space: pre-wrap; font: inherit; margin: 0; }
@media print { body { background: #fff; font-size: 10pt; } main { max-width: none; margin: 0; padding: 0; } section { border: 0; padding: 8px 0; break-inside: auto; }
  tr, figure, .figures, .plot { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
)";

constexpr double kWidth = 1000, kHeight = 240;
constexpr std::size_t kBarsALayer = 64;

}  // namespace

std::string section(std::string_view title, const std::string& html) {
  return html.empty() ? html : fmt::format("<section><h2>{}</h2>{}</section>\n", title, html);
}

std::string htmlPage(std::string_view title, std::string_view subtitle, const std::string& body,
                     std::string_view style) {
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
             "content=\"width=device-width\">"
             "<title>{0} - KVista</title><style>{1}{3}</style></head><body><main>\n<h1>{0}</h1><p "
             "class=\"soft\">{2}</p>\n",
             escaped(title), kStyle, escaped(subtitle), style) +
         body + "</main></body></html>\n";
}

/// Viridis at eight places, between which colours are mixed.
std::string viridis(double value) {
  static constexpr std::array<std::array<int, 3>, 8> kStops = {{{68, 1, 84},
                                                                {70, 50, 126},
                                                                {54, 92, 141},
                                                                {39, 127, 142},
                                                                {31, 161, 135},
                                                                {74, 193, 109},
                                                                {160, 218, 57},
                                                                {253, 231, 37}}};
  const double place = std::clamp(value, 0.0, 1.0) * 7;
  const auto low = static_cast<std::size_t>(std::min(6.0, std::floor(place)));
  const double part = place - static_cast<double>(low);
  std::array<int, 3> mixed{};
  for (std::size_t i = 0; i < 3; ++i)
    mixed[i] = static_cast<int>(std::lround(kStops[low][i] + part * (kStops[low + 1][i] - kStops[low][i])));
  return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

std::string escaped(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = characterLength(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, length));
    text.remove_prefix(character.size());
    if (length == 0 || (length == 1 && static_cast<unsigned char>(character[0]) < 0x20 && character[0] != '\n' &&
                        character[0] != '\t'))
      result += "\xef\xbf\xbd";
    else if (character == "&")
      result += "&amp;";
    else if (character == "<")
      result += "&lt;";
    else if (character == ">")
      result += "&gt;";
    else if (character == "\"")
      result += "&quot;";
    else if (character == "'")
      result += "&#39;";
    else
      result += character;
  }
  return result;
}

std::string waterlineSvg(const CompressionPlan& plan, const std::vector<BudgetUnit>& units) {
  std::map<int, std::vector<Direction>> layers;
  double highest = 0;
  for (std::size_t i = 0; i < units.size() && i < plan.groups.size(); ++i) {
    const std::vector<double>& values = units[i].spectrum.eigenvalues;
    std::vector<Direction>& layer = layers[plan.groups[i].slots.front().layer];
    for (std::size_t d = 0; d < values.size(); ++d) {
      layer.push_back({values[d], plan.groups[i].widths[d]});
      highest = std::max(highest, values[d]);
    }
  }
  if (layers.empty() || !(highest > 0)) return {};
  constexpr double kDecades = 8;  // What is smaller than the largest by more than this lies on the ground.
  const double top = std::log10(highest);
  std::string svg = fmt::format(
      R"(<svg class="wide" viewBox="0 0 {} {}" role="img" aria-label="Spectra of all layers with the bits that each direction has">)",
      kWidth, kHeight + 24);
  const double each = kWidth / static_cast<double>(layers.size());
  double left = 0;
  std::size_t number = 0;
  const std::size_t labels = std::max<std::size_t>(1, layers.size() / 16);
  for (auto& [layer, directions] : layers) {
    std::ranges::sort(directions, [](const Direction& a, const Direction& b) { return a.eigenvalue > b.eigenvalue; });
    const std::size_t bars = std::min(kBarsALayer, directions.size());
    const double step = each * 0.92 / static_cast<double>(std::max<std::size_t>(1, bars));
    for (std::size_t bar = 0; bar < bars; ++bar) {
      const std::size_t begin = bar * directions.size() / bars,
                        end = std::max(begin + 1, (bar + 1) * directions.size() / bars);
      const Direction& middle = directions[(begin + end) / 2 < directions.size() ? (begin + end - 1) / 2 : begin];
      const double above = middle.eigenvalue > 0 ? (std::log10(middle.eigenvalue) - top + kDecades) / kDecades : 0;
      const double height = std::clamp(above, 0.004, 1.0) * kHeight;
      svg += fmt::format(R"(<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" fill="{}"/>)",
                         left + static_cast<double>(bar) * step, kHeight - height, step * 1.02, height,
                         colourOf(middle.bits));
    }
    if (number++ % labels == 0)
      svg += fmt::format(R"(<text x="{:.2f}" y="{}" class="axis">{}</text>)", left, kHeight + 16, layer);
    left += each;
  }
  svg += "</svg><p class=\"legend\">";
  for (const auto& [bits, name] :
       std::vector<std::pair<int, const char*>>{{16, "8 bits and more"}, {4, "4"}, {2, "2"}, {1, "1"}, {0, "dropped"}})
    svg += fmt::format(R"(<span><i style="background:{}"></i>{}</span>)", colourOf(bits), name);
  return svg + "</p>";
}

std::string similaritySvg(const std::vector<SimilarityRecord>& records, Side side) {
  constexpr int kColours = 24;
  std::string html;
  for (const SimilarityRecord& record : records) {
    if (record.side != side) continue;
    const int heads = record.matrix.rows;
    std::array<std::string, kColours> paths;
    for (int i = 0; i < heads; ++i)
      for (int j = 0; j < heads; ++j) {
        const float value = record.matrix.at(i, j);
        if (std::isfinite(value))
          paths[static_cast<std::size_t>(std::clamp(static_cast<int>(value * kColours), 0, kColours - 1))] +=
              fmt::format("M{} {}h1v1h-1z", j, i);
      }
    html += fmt::format(
        R"(<figure><svg viewBox="0 0 {0} {0}" shape-rendering="crispEdges" role="img" aria-label="Similarity of the heads of layer {1}">)",
        heads, record.layer);
    for (int c = 0; c < kColours; ++c)
      if (const std::string& path = paths[static_cast<std::size_t>(c)]; !path.empty())
        html += fmt::format(R"(<path fill="{}" d="{}"/>)", viridis((c + 0.5) / kColours), path);
    html += fmt::format("</svg><figcaption>{}</figcaption></figure>", record.layer);
  }
  return html.empty() ? html : "<div class=\"matrices\">" + html + "</div>";
}

}  // namespace kvista
