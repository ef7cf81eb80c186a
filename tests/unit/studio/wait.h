// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QTest>
#include <functional>

namespace kvista::test {

/// Milliseconds in which the window's thread may not answer: what a test finds by it is a window that hangs. The figure
/// itself (50 ms, S27) depends on the machine, so packaging/bench sets it and runs the same tests.
inline double allowedBlock() {
  const QByteArray given = qgetenv("KVISTA_ALLOWED_BLOCK");
  return given.isEmpty() ? 1000 : given.toDouble();
}

/// Lets the window live until something has happened; false if it never does.
inline bool waitFor(const std::function<bool()>& happened) { return QTest::qWaitFor(happened, 60'000); }

}  // namespace kvista::test
