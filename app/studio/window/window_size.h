// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QDialog>
#include <QFormLayout>
#include <QSize>
#include <QWidget>

namespace kvista {

/// Makes a window this large, or as large as its screen has room for beside the frame that the desktop adds.
void resizeToScreen(QWidget& window, QSize size);

/// A form that scrolls where its dialog is smaller than it is; what goes below it always shows.
QFormLayout* scrolledForm(QDialog& dialog);
/// Puts the buttons below such a form, and makes the dialog so wide; it is as high as both need, or as the screen has
/// room for.
void finishScrolledForm(QDialog& dialog, QFormLayout& form, QWidget& buttons, int width);

}  // namespace kvista
