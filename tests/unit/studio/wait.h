// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QTest>
#include <functional>

namespace kvista::test {

/// Lets the window live until something has happened; false if it never does.
inline bool waitFor(const std::function<bool()>& happened) { return QTest::qWaitFor(happened, 60'000); }

}  // namespace kvista::test
