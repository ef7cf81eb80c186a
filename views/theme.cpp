// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QPalette>
#include <QStyle>
#include <QStyleFactory>

namespace kvista {
namespace {

QPalette qtPalette(const Palette& look) {
  QPalette result;
  result.setColor(QPalette::Window, look.window);
  result.setColor(QPalette::Base, look.panel);
  result.setColor(QPalette::AlternateBase, look.window);
  result.setColor(QPalette::Button, look.panel);
  result.setColor(QPalette::ToolTipBase, look.panel);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText})
    result.setColor(role, look.text);
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    result.setColor(QPalette::Disabled, role, look.faint);
  result.setColor(QPalette::PlaceholderText, look.soft);
  result.setColor(QPalette::Highlight, look.accent);
  result.setColor(QPalette::HighlightedText, look.onAccent);
  result.setColor(QPalette::Link, look.accent);
  result.setColor(QPalette::Light, look.panel);
  result.setColor(QPalette::Midlight, look.hairline);
  result.setColor(QPalette::Mid, look.hairline);
  result.setColor(QPalette::Dark, look.hairline);
  return result;
}

/// Controls in the look of look.md: hairlines, radius 6, one accent. `primary`, `quiet`, `segment` and `link` are
/// dynamic properties that a widget sets on itself.
QString styleSheet(const Palette& look) {
  QString sheet = QStringLiteral(R"(
QToolTip { background: %panel; color: %text; border: 1px solid %line; padding: 6px 8px; }
QPushButton, QToolButton, QComboBox, QLineEdit, QSpinBox, QDoubleSpinBox {
  background: %panel; color: %text; border: 1px solid %line; border-radius: 6px; padding: 4px 10px; min-height: 18px; }
QPushButton:hover, QToolButton:hover, QComboBox:hover { border-color: %soft; }
QPushButton:pressed, QToolButton:pressed { background: %window; }
QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus { border-color: %accent; }
QPushButton:disabled, QToolButton:disabled, QComboBox:disabled, QLineEdit:disabled, QSpinBox:disabled { color: %faint; }
QPushButton[primary="true"] { background: %accent; color: %onAccent; border-color: %accent; font-weight: 600; }
QPushButton[primary="true"]:hover { border-color: %text; }
QPushButton[primary="true"]:disabled { background: %line; color: %soft; border-color: %line; }
QToolButton[quiet="true"], QPushButton[quiet="true"] { border-color: transparent; background: transparent; }
QToolButton[quiet="true"]:hover, QPushButton[quiet="true"]:hover { border-color: %line; }
QToolButton[quiet="true"]:focus, QPushButton[quiet="true"]:focus { border-color: %accent; }
QPushButton[link="true"] { border: none; border-radius: 3px; background: transparent; color: %accent; padding: 2px 0; text-align: left; }
QPushButton[link="true"]:hover, QPushButton[link="true"]:focus { text-decoration: underline; }
QToolButton[segment="true"] { border-radius: 0; border-left-width: 0; color: %soft; padding: 4px 11px; }
QToolButton[segment="true"][first="true"] { border-left-width: 1px; border-top-left-radius: 6px; border-bottom-left-radius: 6px; }
QToolButton[segment="true"][last="true"] { border-top-right-radius: 6px; border-bottom-right-radius: 6px; }
QToolButton[segment="true"]:checked { background: %ground; color: %accent; font-weight: 600; }
QToolButton[segment="true"]:focus { color: %text; text-decoration: underline; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }
QComboBox { padding-right: 22px; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox::down-arrow { image: url(:/controls/down.svg); width: 12px; height: 12px; }
QSpinBox, QDoubleSpinBox { padding-right: 22px; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button { border: none; background: transparent; width: 18px; }
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url(:/controls/up.svg); width: 10px; height: 10px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow { image: url(:/controls/down.svg); width: 10px; height: 10px; }
QTabBar::tab { background: transparent; color: %soft; border: none; border-bottom: 2px solid transparent; padding: 6px 12px; }
QTabBar::tab:selected { color: %text; border-bottom-color: %accent; }
QTabBar::tab:hover { color: %text; }
QTabBar::tab:focus { color: %accent; }
QComboBox QAbstractItemView { background: %panel; color: %text; border: 1px solid %line; selection-background-color: %ground; selection-color: %text; }
QMenu { background: %panel; color: %text; border: 1px solid %line; padding: 4px; }
QMenu::item { padding: 5px 22px; border-radius: 4px; }
QMenu::item:selected { background: %ground; color: %text; }
QMenu::item:disabled { color: %faint; }
QMenu::separator { height: 1px; background: %line; margin: 4px 6px; }
QMenuBar { background: %panel; color: %text; }
QMenuBar::item { padding: 4px 8px; border-radius: 4px; background: transparent; }
QMenuBar::item:selected { background: %ground; }
QHeaderView::section { background: %panel; color: %soft; border: none; border-bottom: 1px solid %line; padding: 5px 8px; }
QTableView, QTreeView, QListView, QTextEdit, QPlainTextEdit, QTextBrowser { background: %panel; color: %text; border: none; gridline-color: %line;
  selection-background-color: %ground; selection-color: %text; }
QTextEdit, QPlainTextEdit { border: 1px solid %line; border-radius: 6px; padding: 4px; }
QTextEdit:focus, QPlainTextEdit:focus { border-color: %accent; }
QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: %line; border-radius: 3px; margin: 2px; min-height: 28px; min-width: 28px; }
QScrollBar::handle:hover { background: %faint; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QProgressBar { background: %line; border: none; border-radius: 3px; max-height: 6px; min-height: 6px; }
QProgressBar::chunk { background: %accent; border-radius: 3px; }
QCheckBox, QRadioButton { spacing: 8px; color: %text; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid %soft; border-radius: 4px; background: %panel; }
QCheckBox::indicator:hover, QCheckBox:focus::indicator { border-color: %accent; }
QCheckBox::indicator:disabled { border-color: %line; }
QCheckBox::indicator:checked { background: %accent; border-color: %accent; image: url(:/controls/%check.svg); }
QCheckBox::indicator:checked:disabled { background: %faint; border-color: %faint; }
QStatusBar { background: %panel; color: %soft; border-top: 1px solid %line; }
QStatusBar::item { border: none; }
QDialog { background: %window; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QMainWindow::separator { background: %window; width: 8px; height: 8px; }
QMainWindow::separator:hover { background: %line; }
QSplitter::handle { background: transparent; }
)");
  const std::pair<const char*, QColor> names[] = {
      {"%onAccent", look.onAccent}, {"%accent", look.accent}, {"%ground", look.accentGround},
      {"%window", look.window},     {"%panel", look.panel},   {"%line", look.hairline},
      {"%text", look.text},         {"%soft", look.soft},     {"%faint", look.faint}};
  for (const auto& [name, colour] : names) sheet.replace(QLatin1String(name), colour.name());
  return sheet.replace(QLatin1String("%check"), QLatin1String(look.dark ? "check-dark" : "check"));
}

/// Of the desktop's own palette, whatever we have set.
bool isDesktopPaletteDark() {
  const QPalette ours = QApplication::palette();
  QApplication::setPalette(QPalette());
  const QPalette desktop = QApplication::palette();
  QApplication::setPalette(ours);
  return desktop.color(QPalette::WindowText).lightness() > desktop.color(QPalette::Window).lightness();
}

}  // namespace

QColor Palette::bits(int width) const {
  if (width >= 8) return bits8;
  if (width >= 4) return bits4;
  if (width >= 2) return bits2;
  return width == 1 ? bits1 : dropped;
}

const Palette& Theme::light() {
  static const Palette look = {false,     "#f4f5f7", "#ffffff", "#e2e5ea", "#18212e", "#5a6675", "#8d97a5",
                               "#2556d0", "#ffffff", "#e8eefc", "#b45309", "#e8eefc", "#1f47a8", "#e4f4ef",
                               "#136a52", "#123a6b", "#2563a8", "#4f9ad0", "#a6cfe8", "#dfe3e8"};
  return look;
}

const Palette& Theme::dark() {
  static const Palette look = {true,      "#12151a", "#191d24", "#2a303a", "#e7ebf1", "#a3adba", "#727d8c",
                               "#7aa2ff", "#0d1320", "#22304e", "#f0b35a", "#22304e", "#b5caff", "#1b3a33",
                               "#9fe0cb", "#b9dcf5", "#6fb1e4", "#3e7fb8", "#274f78", "#2b3038"};
  return look;
}

Theme& Theme::instance() {
  static Theme theme;
  return theme;
}

void Theme::install() {
  desktopPaletteDark_ = isDesktopPaletteDark();
  for (const char* weight : {"Regular", "Medium", "SemiBold"})
    QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/Inter-%1.otf").arg(QLatin1String(weight)));
  QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  QApplication::setFont(textFont(TextRole::body));
  apply();
}

void Theme::setMode(Mode mode) {
  mode_ = mode;
  apply();
}

void Theme::setDesktopDark(std::optional<bool> dark) {
  desktopDark_ = dark;
  if (wantsDark() != palette_->dark) apply();
}

void Theme::lookAtDesktop() {
  desktopPaletteDark_ = isDesktopPaletteDark();
  if (wantsDark() != palette_->dark) apply();
}

bool Theme::wantsDark() const {
  return mode_ == Mode::dark || (mode_ == Mode::system && desktopDark_.value_or(desktopPaletteDark_));
}

void Theme::apply() {
  palette_ = wantsDark() ? &dark() : &light();
  if (qApp) {
    QApplication::setPalette(qtPalette(*palette_));
    qApp->setStyleSheet(styleSheet(*palette_));
  }
  Q_EMIT changed();
}

Theme::LightForPaper::LightForPaper() : before_(instance().palette_) { instance().palette_ = &light(); }
Theme::LightForPaper::~LightForPaper() { instance().palette_ = before_; }

const Palette& colours() { return Theme::instance().palette(); }

QFont textFont(TextRole role) {
  QFont result(QStringLiteral("Inter"));
  result.setHintingPreference(QFont::PreferNoHinting);  // Hints would make equal figures unequally wide.
  switch (role) {
    case TextRole::body:
      result.setPixelSize(13);
      break;
    case TextRole::strong:
      result.setPixelSize(13);
      break;
    case TextRole::title:
      result.setPixelSize(13);
      break;
    case TextRole::figure:
      result.setPixelSize(20);
      break;
    case TextRole::axis:
      result.setPixelSize(11);
      break;
  }
  if (role == TextRole::strong || role == TextRole::title || role == TextRole::figure)
    result.setWeight(QFont::DemiBold);
  return result;
}

void markPrimary(QWidget* button) {
  button->setProperty("primary", true);
  button->style()->unpolish(button);
  button->style()->polish(button);
}

QString slotName(const Slot& slot) {
  return QStringLiteral("%1%2").arg(slot.side == Side::key ? QLatin1Char('K') : QLatin1Char('V')).arg(slot.head);
}

}  // namespace kvista
