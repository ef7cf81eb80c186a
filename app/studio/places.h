// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>

namespace kvista {

/// The embedded demo: a small model and texts to calibrate and measure on. Installed beside the program, or in the
/// source folder of a build. Empty where there is none.
QString demoFolder();

/// A file of the demo, by its name in the folder, where `model` is the demo's; empty otherwise: nobody has others at
/// hand in the first five minutes.
QString demoFileOf(const QString& model, const QString& name);

/// Experiments that come along, likewise.
QString experimentsFolder();

/// Where a model's calibration goes while its project has no file: a folder of the user's, which may not be there yet.
QString calibrationFile(const QString& model, const QString& hash);

}  // namespace kvista
