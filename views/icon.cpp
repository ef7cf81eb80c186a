// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/icon.h"

#include <QFile>
#include <QIconEngine>
#include <QPainter>
#include <QSvgRenderer>

#include "views/theme.h"

namespace kvista {
namespace {

/// Draws the file anew for each size, so that no scale factor blurs it.
class SvgEngine final : public QIconEngine {
 public:
  explicit SvgEngine(QByteArray svg) : svg_(std::move(svg)) {}
  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    QSvgRenderer renderer(svg_);
    const qreal before = painter->opacity();
    if (mode == QIcon::Disabled) painter->setOpacity(before * 0.4);
    renderer.render(painter, rect);
    painter->setOpacity(before);
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override {
    QPixmap result(size);
    result.fill(Qt::transparent);
    QPainter painter(&result);
    paint(&painter, QRect(QPoint(), size), mode, state);
    return result;
  }
  [[nodiscard]] QIconEngine* clone() const override { return new SvgEngine(svg_); }

 private:
  QByteArray svg_;
};

}  // namespace

QIcon icon(const QString& name, const QColor& colour) {
  QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
  if (!file.open(QIODevice::ReadOnly)) return {};
  QByteArray svg = file.readAll();
  for (const char* written : {"#232629", "#da4453", "#f67400", "currentColor"})
    svg.replace(written, colour.name().toLatin1());
  return QIcon(new SvgEngine(std::move(svg)));
}

QIcon icon(const QString& name) { return icon(name, colours().soft); }

}  // namespace kvista
