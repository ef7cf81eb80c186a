// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Views of the gallery against the pictures kept in tests/unit/views/pictures. A look that was changed on purpose:
//   KVISTA_RENEW_PICTURES=1 QT_QPA_PLATFORM=offscreen build/release/bin/kvista-test-views
//   --gtest_filter='*KeptPictures*'
// and look at what git says has changed.
#include <gtest/gtest.h>

#include <QApplication>
#include <QDir>
#include <QLabel>
#include <QPainter>
#include <QVBoxLayout>
#include <algorithm>
#include <memory>

#include "picture_difference.h"
#include "views/gallery/gallery.h"
#include "views/panel.h"
#include "views/theme.h"

namespace kvista {
namespace {

// What other versions of the font's renderer may leave beside its neighbours; the smallest sign in the views has more.
constexpr int kForgivenPixels = 8;

struct Kept {
  const char* exhibit;
  QSize size;
  bool dark;
};

const Kept kKept[] = {
    {"budget", {860, 320}, false},      {"error", {480, 280}, true},
    {"figures", {1200, 460}, false},    {"groups", {480, 440}, true},
    {"guide", {760, 520}, false},       {"heatmap", {720, 400}, false},
    {"navigator", {200, 520}, true},    {"plan-comparison", {640, 480}, false},
    {"quality-cost", {480, 300}, true}, {"spectra", {480, 300}, false},
    {"waterline", {760, 300}, false},
};

std::unique_ptr<QWidget> windowOf(const Kept& kept) {
  const auto& all = exhibits();
  const auto found = std::ranges::find(all, std::string_view(kept.exhibit), &Exhibit::name);
  if (found == all.end()) return nullptr;
  auto window = std::make_unique<QWidget>();
  window->setAttribute(Qt::WA_DontShowOnScreen);
  auto* layout = new QVBoxLayout(window.get());
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addWidget(new Panel(found->make()));
  window->setFixedSize(kept.size.expandedTo(window->minimumSizeHint()));
  window->show();
  QApplication::processEvents();
  return window;
}

/// As on a screen of one pixel a point, whatever this one is. 32 shades a channel: more would only make the files
/// larger.
QImage pictureOf(QWidget& window) {
  QImage image(window.size(), QImage::Format_ARGB32_Premultiplied);
  image.fill(colours().window);
  window.render(&image);
  image = image.convertToFormat(QImage::Format_RGB888);
  for (int y = 0; y < image.height(); ++y)
    for (uchar* byte = image.scanLine(y); byte < image.scanLine(y) + 3 * image.width(); ++byte)
      *byte = static_cast<uchar>(*byte | 7);
  return image;
}

class KeptPictures : public ::testing::TestWithParam<Kept> {
 protected:
  KeptPictures() { Theme::instance().setMode(GetParam().dark ? Theme::Mode::dark : Theme::Mode::light); }
  ~KeptPictures() override { Theme::instance().setMode(Theme::Mode::light); }
};
INSTANTIATE_TEST_SUITE_P(Views, KeptPictures, ::testing::ValuesIn(kKept), [](const auto& instance) {
  std::string name = instance.param.exhibit;
  std::erase(name, '-');
  return name;
});

TEST_P(KeptPictures, LookAsBefore) {
  const std::unique_ptr<QWidget> window = windowOf(GetParam());
  ASSERT_TRUE(window) << "the gallery has no " << GetParam().exhibit;
  const QImage now = pictureOf(*window);
  const QString name = QLatin1String(GetParam().exhibit) + QStringLiteral(".png");
  const QString file = QStringLiteral(KVISTA_SOURCE_DIR "/tests/unit/views/pictures/") + name;
  if (qEnvironmentVariableIsSet("KVISTA_RENEW_PICTURES")) {
    ASSERT_TRUE(now.save(file, "PNG", 0)) << file.toStdString();
    GTEST_SKIP() << "renewed " << file.toStdString();
  }
  const QImage before(file);
  ASSERT_FALSE(before.isNull()) << "no picture in " << file.toStdString();
  const PictureDifference difference = differenceOf(before, now);
  if (difference.pixels <= kForgivenPixels) return;
  const QDir folder(QDir::temp().filePath(QStringLiteral("kvista-pictures")));
  ASSERT_TRUE(folder.mkpath(QStringLiteral("."))) << folder.path().toStdString();
  ASSERT_TRUE(now.save(folder.filePath(name)));
  const QRect where = difference.where;
  FAIL() << difference.pixels << " pixels differ from " << file.toStdString() << ", within " << where.width() << " x "
         << where.height() << " at (" << where.x() << ", " << where.y() << "); the new picture is "
         << folder.filePath(name).toStdString();
}

class PictureComparison : public ::testing::Test {
 protected:
  std::unique_ptr<QWidget> window = windowOf({"heatmap", {720, 400}, false});
  QImage before = pictureOf(*window);
  int differing() { return differenceOf(before, pictureOf(*window)).pixels; }
  QLabel& title() {
    for (auto* label : window->findChildren<QLabel*>())
      if (label->isVisible() && !label->text().isEmpty()) return *label;
    throw std::logic_error("the panel has no label");
  }
};

TEST_F(PictureComparison, SeesAnElementMovedByThreePixels) {
  title().move(title().pos() + QPoint(3, 0));
  EXPECT_GT(differing(), kForgivenPixels);
  title().move(title().pos() - QPoint(3, 0));
  EXPECT_EQ(differing(), 0);
  title().move(title().pos() + QPoint(0, 3));
  EXPECT_GT(differing(), kForgivenPixels);
}

TEST_F(PictureComparison, SeesAnElementThatIsMissing) {
  title().hide();
  EXPECT_GT(differing(), kForgivenPixels);
}

TEST_F(PictureComparison, SeesAHairlineThatIsMissing) {
  QImage without = before, with = before;
  with.fill(colours().panel);
  without.fill(colours().panel);
  QPainter painter(&with);
  painter.setPen(colours().hairline);
  painter.drawLine(20, 20, 60, 20);
  painter.end();
  EXPECT_GE(differenceOf(with, without).pixels, 41);
}

TEST_F(PictureComparison, ForgivesEdgesSmoothedOtherwise) {
  // The same lines and words less than a pixel away: every edge is smoothed differently.
  const auto drawn = [](qreal shift) {
    QImage image(240, 80, QImage::Format_ARGB32_Premultiplied);
    image.fill(colours().panel);
    QPainter painter(&image);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setFont(textFont(TextRole::body));
    painter.setPen(colours().text);
    painter.translate(shift, shift);
    painter.drawText(QPointF(10, 30), QStringLiteral("What rises above the water"));
    painter.drawEllipse(QRectF(180, 40, 30, 30));
    return image;
  };
  const QImage one = drawn(0), other = drawn(0.4);
  ASSERT_NE(one, other);
  EXPECT_LE(differenceOf(one, other).pixels, kForgivenPixels);
}

}  // namespace
}  // namespace kvista
