// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QFont>
#include <QFrame>
#include <QObject>
#include <QString>
#include <QWidget>
#include <optional>

#include "core/plan/plan.h"

class QPainter;

namespace kvista {

/// Every colour of the window, by what it is for. Text colours keep 4.5:1 on `window` and `panel`, but for `faint`,
/// which is for decoration only.
struct Palette {
  bool dark = false;
  QColor window, panel, hairline;
  QColor text, soft, faint;
  QColor accent, onAccent;  ///< What is selected or can be done, and text on it.
  QColor accentGround;      ///< Behind what is selected, under ordinary text.
  QColor warning;
  QColor keyGround, keyText, valueGround, valueText;  ///< Chips of key and value heads.
  QColor bits8, bits4, bits2, bits1, dropped;         ///< Bands of the waterline; 16 bits are drawn as 8.

  [[nodiscard]] QColor bits(int width) const;
  [[nodiscard]] QColor ground(Side side) const { return side == Side::key ? keyGround : valueGround; }
  [[nodiscard]] QColor chipText(Side side) const { return side == Side::key ? keyText : valueText; }
};

enum class TextRole {
  body,    ///< 13 px
  strong,  ///< 13 px semibold
  title,   ///< 12.5 px semibold: panels
  figure,  ///< 20 px semibold: the strip
  axis,    ///< 11 px
};

/// The look of the whole window: light or dark. Widgets read `palette()` when they paint and repaint on `changed`.
class Theme final : public QObject {
  Q_OBJECT

 public:
  enum class Mode { system, light, dark };

  static Theme& instance();
  /// Loads the fonts and gives the application its style and palette.
  void install();
  void setMode(Mode mode);
  [[nodiscard]] Mode mode() const { return mode_; }
  /// For Mode::system, what the desktop says of itself; absent: what its palette looks like.
  void setDesktopDark(std::optional<bool> dark);
  /// The desktop's palette may be another one now.
  void lookAtDesktop();
  [[nodiscard]] const Palette& palette() const { return *palette_; }
  [[nodiscard]] static const Palette& light();
  [[nodiscard]] static const Palette& dark();
  /// While one of these lives, `palette()` is another one: pictures for paper are light whatever the window is.
  class Wearing;

 Q_SIGNALS:
  void changed();

 private:
  Theme() = default;
  void apply();
  [[nodiscard]] bool wantsDark() const;
  Mode mode_ = Mode::system;
  std::optional<bool> desktopDark_;
  bool desktopPaletteDark_ = false;
  const Palette* palette_ = &light();
};

class Theme::Wearing {
 public:
  /// The palette has to live longer.
  explicit Wearing(const Palette& palette);
  ~Wearing();
  Wearing(const Wearing&) = delete;
  Wearing& operator=(const Wearing&) = delete;

 private:
  const Palette* before_;
};

/// Short for Theme::instance().palette().
const Palette& colours();
QFont textFont(TextRole role);
/// Makes a button the one that goes on.
void markPrimary(QWidget* button);
/// At the left of a row that is chosen: its ground alone would be told by colour.
void paintChosenMark(QPainter& painter, const QRect& row);
/// A list that stands on the ground of a dialog: a hairline round it.
void frameList(QFrame& list);
/// "K3", "V0".
QString slotName(const Slot& slot);

}  // namespace kvista
