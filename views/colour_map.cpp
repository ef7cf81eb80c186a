// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/colour_map.h"

#include <QColor>
#include <QCoreApplication>
#include <algorithm>
#include <cmath>

#include "views/theme.h"

namespace kvista {
namespace {

/// OKLab (Ottosson 2020): equal steps look equally large.
struct Lab {
  double l, a, b;
};

double toLinear(double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); }
double fromLinear(double c) { return c <= 0.0031308 ? 12.92 * c : 1.055 * std::pow(c, 1 / 2.4) - 0.055; }

Lab toLab(QRgb colour) {
  const double r = toLinear(qRed(colour) / 255.0), g = toLinear(qGreen(colour) / 255.0),
               b = toLinear(qBlue(colour) / 255.0);
  const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

QRgb fromLab(const Lab& lab) {
  const double l = std::pow(lab.l + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
  const double m = std::pow(lab.l - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
  const double s = std::pow(lab.l - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
  const auto byte = [](double c) { return static_cast<int>(std::lround(255 * fromLinear(std::clamp(c, 0.0, 1.0)))); };
  return qRgb(byte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
              byte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
              byte(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s));
}

/// `stops` at equal distances, joined in OKLab.
ColourTable joined(const std::vector<QRgb>& stops) {
  ColourTable table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double place = static_cast<double>(i) / 255 * static_cast<double>(stops.size() - 1);
    const std::size_t stop = std::min(static_cast<std::size_t>(place), stops.size() - 2);
    const double share = place - static_cast<double>(stop);
    const Lab x = toLab(stops[stop]), y = toLab(stops[stop + 1]);
    table[i] = fromLab({x.l + share * (y.l - x.l), x.a + share * (y.a - x.a), x.b + share * (y.b - x.b)});
  }
  return table;
}

ColourTable made(ColourMap map, bool dark) {
  switch (map) {
    case ColourMap::viridis:
      return joined({0xff440154, 0xff482878, 0xff3e4989, 0xff31688e, 0xff26828e, 0xff1f9e89, 0xff35b779, 0xff6dcd59,
                     0xffb4de2c, 0xfffde725});
    case ColourMap::cividis:
      return joined({0xff00204d, 0xff00336f, 0xff39486b, 0xff575c6d, 0xff707173, 0xff8a8779, 0xffa69d75, 0xffc4b56c,
                     0xffe4cf5b, 0xffffea46});
    case ColourMap::grey:
      return joined({0xff1a1d22, 0xfff4f5f7});
    case ColourMap::difference:
      // What does not differ is as quiet as the ground that it stands on.
      return dark ? joined({0xffb9dcf5, 0xff3e7fb8, 0xff2a303a, 0xffb8752c, 0xffffdba8})
                  : joined({0xff123a6b, 0xff3e7fb8, 0xfff1f2f4, 0xffd08a3c, 0xff6b3206});
  }
  return {};
}

}  // namespace

const ColourTable& colourTable(ColourMap map, bool inverted) {
  static const auto tables = [] {
    std::array<std::array<std::array<ColourTable, 2>, 2>, 4> result{};
    for (std::size_t i = 0; i < result.size(); ++i)
      for (const bool dark : {false, true}) {
        auto& [plain, turned] = result[i][dark ? 1 : 0];
        plain = turned = made(static_cast<ColourMap>(i), dark);
        std::reverse(turned.begin(), turned.end());
      }
    return result;
  }();
  return tables[static_cast<std::size_t>(map)][colours().dark ? 1 : 0][inverted ? 1 : 0];
}

QColor wordsOn(const QColor& ground) {
  const double luminance =
      0.2126 * toLinear(ground.redF()) + 0.7152 * toLinear(ground.greenF()) + 0.0722 * toLinear(ground.blueF());
  return luminance > 0.179 ? Qt::black : Qt::white;
}

QString colourMapName(ColourMap map) {
  switch (map) {
    case ColourMap::viridis:
      return QCoreApplication::translate("kvista", "viridis");
    case ColourMap::cividis:
      return QCoreApplication::translate("kvista", "cividis");
    case ColourMap::grey:
      return QCoreApplication::translate("kvista", "grey");
    case ColourMap::difference:
      return QCoreApplication::translate("kvista", "blue to brown");
  }
  return {};
}

QString colourMapId(ColourMap map) {
  constexpr const char* kIds[] = {"viridis", "cividis", "grey", "difference"};
  return QLatin1String(kIds[static_cast<std::size_t>(map)]);
}

const std::vector<ColourMap>& colourMaps() {
  static const std::vector<ColourMap> all = {ColourMap::viridis, ColourMap::cividis, ColourMap::grey};
  return all;
}

}  // namespace kvista
