// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/view_state.h"

#include <QJsonArray>
#include <cmath>

#include "views/colour_scale.h"

namespace kvista {

bool ViewStateReader::flag(const char* name) {
  const QJsonValue value = state_.value(QLatin1String(name));
  sound_ = sound_ && (value.isUndefined() || value.isBool());
  return value.toBool();
}

QString ViewStateReader::choice(const char* name, const QStringList& known) {
  const QJsonValue value = state_.value(QLatin1String(name));
  if (value.isUndefined()) return known.front();
  if (known.contains(value.toString())) return value.toString();
  sound_ = false;
  return known.front();
}

std::vector<double> ViewStateReader::numbers(const char* name, int least, int most) {
  const QJsonValue value = state_.value(QLatin1String(name));
  if (value.isUndefined()) return {};
  std::vector<double> result;
  bool isSound = value.isArray() && value.toArray().size() >= least && value.toArray().size() <= most;
  for (const QJsonValue& each : value.toArray()) {
    isSound = isSound && each.isDouble() && std::isfinite(each.toDouble());
    if (!isSound) break;
    result.push_back(each.toDouble());
  }
  if (isSound) return result;
  sound_ = false;
  return {};
}

QJsonObject ViewStateReader::object(const char* name) {
  const QJsonValue value = state_.value(QLatin1String(name));
  sound_ = sound_ && (value.isUndefined() || value.isObject());
  return value.toObject();
}

QJsonObject stateOf(const ColourScale& scale) {
  QJsonObject state;
  if (scale.map() != ColourMap::viridis) state[QStringLiteral("colours")] = colourMapId(scale.map());
  const RangeBarRecord& record = scale.record();
  if (record.inverted) state[QStringLiteral("inverted")] = true;
  if (record.percentile < 0)
    state[QStringLiteral("range")] = QJsonArray{record.range.low, record.range.high};
  else if (record.percentile > 0)
    state[QStringLiteral("percentile")] = QJsonArray{record.percentile};
  return state;
}

bool setState(ColourScale& scale, const QJsonObject& state) {
  ViewStateReader reader(state);
  QStringList known;
  for (const ColourMap map : colourMaps()) known << colourMapId(map);
  const QString map = reader.choice("colours", known);
  scale.setColours(colourMaps()[static_cast<std::size_t>(known.indexOf(map))], reader.flag("inverted"));
  const std::vector<double> percentile = reader.numbers("percentile", 1, 1);
  const bool isPercentile = !percentile.empty() && percentile[0] >= 0 && percentile[0] < 50;
  if (!percentile.empty() && !isPercentile) reader.reject();
  scale.fit(isPercentile ? percentile[0] : 0);
  if (const std::vector<double> range = reader.numbers("range", 2, 2); !range.empty()) {
    if (range[0] < range[1])
      scale.fix(Range{range[0], range[1]});
    else
      reader.reject();
  }
  return reader.isSound();
}

QJsonArray stateOfZoom(const QRectF& visible, int heads) {
  if (heads == 0 || visible.width() >= heads) return {};
  return {visible.left(), visible.top(), visible.width(), heads};
}

std::optional<Zoom> zoomOf(ViewStateReader& state, const char* name) {
  const std::vector<double> numbers = state.numbers(name, 4, 4);
  if (numbers.empty()) return std::nullopt;
  const double heads = numbers[3];
  if (numbers[2] > 0 && heads >= 1 && heads <= 1e6 && heads == std::round(heads))
    return Zoom{{numbers[0], numbers[1], numbers[2], numbers[2]}, static_cast<int>(heads)};
  state.reject();
  return std::nullopt;
}

}  // namespace kvista
