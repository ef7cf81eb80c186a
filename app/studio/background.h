// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QCoreApplication>
#include <QPointer>
#include <QThreadPool>
#include <memory>
#include <utility>

namespace kvista {

/// Where files are written: one after the other, in the order they were handed over.
QThreadPool& diskThread();
/// Waits until every file handed over is written; for the program's end.
void finishDiskWork();

/// Runs `work` on a thread of `pool`, then `done` with its value on the window's thread, unless `context` is gone by
/// then.
template <class Work, class Done>
void inBackground(QThreadPool& pool, QObject* context, Work work, Done done) {
  pool.start([context = QPointer<QObject>(context), work = std::move(work), done = std::move(done)]() mutable {
    // Only carried here: whether it still lives is asked on the window's thread.
    auto value = std::make_shared<decltype(work())>(work());
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [context, value, done = std::move(done)]() mutable {
          if (context) done(std::move(*value));
        },
        Qt::QueuedConnection);
  });
}

}  // namespace kvista
