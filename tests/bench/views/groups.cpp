// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
//
// Frames of heads being dragged over the groups of a layer, 64 heads a side.
#include <QCoreApplication>
#include <QMouseEvent>
#include <QWindow>
#include <array>
#include <cmath>

#include "frames.h"
#include "views/groups_canvas.h"
#include "views/groups_view.h"

namespace kvista {
namespace {

constexpr int kHeads = 64, kFrames = 600;

GroupsRecord largeRecord(int groupSize) {
  GroupsRecord record;
  record.shape = {"llama", 32, kHeads, kHeads, 128, 128, 8192, 32000, 7'000'000'000};
  record.grouping = QStringLiteral("manual");
  for (int first = 0; first < kHeads; first += groupSize) {
    GroupRecord group;
    group.index = first / groupSize;
    for (const Side side : {Side::key, Side::value})
      for (int head = first; head < first + groupSize; ++head) group.slots.push_back({0, side, head});
    for (std::size_t i = 0; i < group.slots.size() * 128; ++i)
      group.widths.push_back(std::array<std::uint8_t, 5>{8, 4, 2, 1, 0}[5 * i / (group.slots.size() * 128)]);
    group.bytes = storedBytes(group.widths);
    group.loss = 0.0014;
    record.groups.push_back(group);
  }
  return record;
}

/// The pointer with this many heads in the hand crosses every box, at a panel's width and over a whole window.
void dragHeads(benchmark::State& state) {
  GroupsView view;
  view.setRecord(largeRecord(static_cast<int>(state.range(0))));
  view.resize(static_cast<int>(state.range(1)), 900);
  view.show();
  QCoreApplication::processEvents();
  if (!view.windowHandle()->isExposed()) qFatal("The window is not exposed: frames would cost nothing");
  auto* canvas = view.findChild<GroupsCanvas*>();
  const auto send = [canvas](QEvent::Type type, const QPoint& at, Qt::MouseButton button) {
    QMouseEvent event(type, at, canvas->mapToGlobal(at), button, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(canvas, &event);
  };
  std::vector<Slot> hand;
  for (int head = 0; head < 8; ++head) hand.push_back({0, Side::key, head});
  view.setSelection(hand);
  send(QEvent::MouseButtonPress, canvas->chipRect(hand.front()).center(), Qt::LeftButton);
  bench::measureFrames(state, [&](int i) {
    const double around = 0.5 - 0.5 * std::cos(i * 0.05);
    send(QEvent::MouseMove,
         {static_cast<int>(20 + around * (canvas->width() - 40)), static_cast<int>(20 + around * 840)}, Qt::NoButton);
    canvas->repaint();
  });
  if (!canvas->isDragging()) qFatal("Nothing is being dragged");
}
BENCHMARK(dragHeads)->Args({4, 360})->Args({1, 360})->Args({64, 360})->Args({1, 1400})->Iterations(kFrames)->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace kvista
