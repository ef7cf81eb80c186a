// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QJsonArray>
#include <QJsonObject>
#include <QRectF>
#include <QString>
#include <QStringList>
#include <optional>
#include <vector>

#include "views/value_range.h"

namespace kvista {

class ColourScale;

/// Reads what a view's state says. It may have been edited by hand or come from another version: what is missing is its
/// usual value, and so is what cannot be used, which is remembered.
class ViewStateReader {
 public:
  explicit ViewStateReader(const QJsonObject& state) : state_(state) {}
  [[nodiscard]] bool flag(const char* name);
  /// One of `known`, or the first of them.
  [[nodiscard]] QString choice(const char* name, const QStringList& known);
  /// Finite numbers, between `least` and `most` of them; empty where there are none.
  [[nodiscard]] std::vector<double> numbers(const char* name, int least, int most);
  [[nodiscard]] QJsonObject object(const char* name);
  void reject() { sound_ = false; }
  /// False once a part could not be used.
  [[nodiscard]] bool isSound() const { return sound_; }

 private:
  QJsonObject state_;
  bool sound_ = true;
};

/// Colours and range, as far as they are not the usual ones.
QJsonObject stateOf(const ColourScale& scale);
/// False where a part could not be used.
bool setState(ColourScale& scale, const QJsonObject& state);

/// Which cells of a heatmap are in sight: left, top, side, and of how many heads; empty where all are.
QJsonArray stateOfZoom(const QRectF& visible, int heads);
struct Zoom {
  QRectF visible;
  int heads = 0;
};
std::optional<Zoom> zoomOf(ViewStateReader& state, const char* name);

}  // namespace kvista
