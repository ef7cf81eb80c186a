// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

namespace kvista {

/// A dynamic property that a widget has set on itself.
inline bool is(const QWidget* widget, const char* property) { return widget && widget->property(property).toBool(); }

}  // namespace kvista
