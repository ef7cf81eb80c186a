// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/top_bar.h"

#include <QAction>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QPushButton>
#include <QToolButton>

#include "views/segmented_control.h"
#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kHeight = 44, kMargin = 12, kLeastUndo = 64, kLongestName = 200;

/// A button that does what the action does, and is enabled and named as it is.
QPushButton* buttonOf(QAction* action, const char* look, QWidget* parent) {
  auto* button = new QPushButton(parent);
  if (*look) button->setProperty(look, true);
  button->setObjectName(action->objectName() + QStringLiteral("Button"));
  const auto follow = [button, action] {
    QString text = action->text();
    button->setText(text.remove(QLatin1Char('&')));
    button->setEnabled(action->isEnabled());
    button->setToolTip(action->toolTip());
  };
  QObject::connect(action, &QAction::changed, button, follow);
  QObject::connect(button, &QPushButton::clicked, action, &QAction::trigger);
  follow();
  return button;
}

}  // namespace

TopBar::TopBar(QMenu* menu, QAction* undo, QAction* calibrate, QAction* measure, QAction* exportPlan, QWidget* parent)
    : QWidget(parent),
      brand_(new QToolButton(this)),
      document_(new QLabel(this)),
      layouts_(new SegmentedControl({{QStringLiteral("analyse"), tr("Analyse")},
                                     {QStringLiteral("edit"), tr("Edit")},
                                     {QStringLiteral("compare"), tr("Compare")},
                                     {QStringLiteral("try"), tr("Try")}},
                                    tr("Layout"))) {
  setFixedHeight(kHeight);
  brand_->setText(QStringLiteral("KVista"));
  brand_->setFont(textFont(TextRole::strong));
  brand_->setProperty("quiet", true);
  brand_->setMenu(menu);
  brand_->setPopupMode(QToolButton::InstantPopup);
  brand_->setToolTip(tr("Menu (F10)"));
  brand_->setAccessibleName(tr("KVista menu"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(kMargin - 6, 0, kMargin, 0);
  row->setSpacing(8);
  row->addWidget(brand_);
  row->addWidget(document_);
  row->addSpacing(24);
  row->addWidget(layouts_);
  row->addStretch(1);
  QPushButton* undoButton = buttonOf(undo, "quiet", this);
  undoButton->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
  undoButton->setMinimumWidth(kLeastUndo);  // It says what it undoes, as far as there is room.
  row->addWidget(undoButton);
  row->addWidget(buttonOf(calibrate, "", this));
  row->addWidget(buttonOf(measure, "", this));
  row->addWidget(buttonOf(exportPlan, "primary", this));
  connect(layouts_, &SegmentedControl::chosen, this, &TopBar::layoutChosen);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    showDocument();  // Its words have a colour of the look.
    update();
  });
}

void TopBar::setDocument(const QString& name, bool modified) {
  name_ = name;
  modified_ = modified;
  document_->setToolTip(name);
  showDocument();
}

void TopBar::showDocument() {
  document_->setText(
      document_->fontMetrics().elidedText(name_, Qt::ElideMiddle, kLongestName).toHtmlEscaped() +
      (modified_ ? QStringLiteral(" <span style='color:%1'>· %2</span>").arg(colours().soft.name(), tr("modified"))
                 : QString()));
}

void TopBar::setLayoutName(const QString& id) { layouts_->setCurrent(id); }

void TopBar::setLayoutsEnabled(bool enabled) { layouts_->setEnabled(enabled); }

void TopBar::openMenu() { brand_->showMenu(); }

void TopBar::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), colours().panel);
  painter.setPen(colours().hairline);
  painter.drawLine(0, height() - 1, width(), height() - 1);
}

}  // namespace kvista
