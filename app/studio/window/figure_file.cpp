// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/window/figure_file.h"

#include <fmt/format.h>

#include <QBuffer>
#include <QFileInfo>
#include <QImage>
#include <QPageSize>
#include <QPainter>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>

#include "views/theme.h"

namespace kvista {
namespace {

constexpr int kPngScale = 3;
constexpr int kPointsAnInch = 72;
constexpr double kPixelsAnInch = 96;

using Draw = std::function<void(QPainter&, const QRectF&)>;

QByteArray asPng(const QSize& size, const Draw& draw) {
  QImage image(size * kPngScale, QImage::Format_RGB32);
  image.fill(Qt::white);
  QPainter painter(&image);
  painter.scale(kPngScale, kPngScale);
  draw(painter, QRectF(QPointF(), size));
  painter.end();
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  image.save(&buffer, "PNG");
  return bytes;
}

QByteArray asSvg(const QSize& size, const Draw& draw) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  QSvgGenerator svg;
  svg.setOutputDevice(&buffer);
  svg.setSize(size);
  svg.setViewBox(QRect(QPoint(), size));
  svg.setResolution(static_cast<int>(kPixelsAnInch));
  QPainter painter(&svg);
  draw(painter, QRectF(QPointF(), size));
  painter.end();
  return bytes;
}

QByteArray asPdf(const QSize& size, const Draw& draw) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  QPdfWriter pdf(&buffer);
  pdf.setCreator(QStringLiteral("KVista"));
  pdf.setResolution(kPointsAnInch * 4);
  pdf.setPageMargins({});
  pdf.setPageSize(QPageSize(QSizeF(size) * kPointsAnInch / kPixelsAnInch, QPageSize::Point));
  QPainter painter(&pdf);
  painter.scale(pdf.resolution() / kPixelsAnInch, pdf.resolution() / kPixelsAnInch);
  draw(painter, QRectF(QPointF(), size));
  painter.end();
  return bytes;
}

}  // namespace

Result<void> writeFigure(const QString& file, const QSize& size, const Draw& draw) {
  const Theme::Wearing paper(Theme::light());
  const QString ending = QFileInfo(file).suffix().toLower();
  const QByteArray bytes = ending == QStringLiteral("png")   ? asPng(size, draw)
                           : ending == QStringLiteral("svg") ? asSvg(size, draw)
                           : ending == QStringLiteral("pdf") ? asPdf(size, draw)
                                                             : QByteArray();
  if (bytes.isEmpty())
    return fail(ErrorCode::invalidArgument, fmt::format("A figure cannot be written as \"{}\".", ending.toStdString()),
                "End the file's name with .png, .svg or .pdf.");
  QSaveFile output(file);
  if (!output.open(QIODevice::WriteOnly) || output.write(bytes) != bytes.size() || !output.commit())
    return fail(ErrorCode::io, fmt::format("The figure {} cannot be written: {}.", file.toStdString(),
                                           output.errorString().toStdString()));
  return {};
}

}  // namespace kvista
