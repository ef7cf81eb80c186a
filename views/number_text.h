// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstdint>

namespace kvista {

/// Numbers as the person's locale writes them, with the digits that mean something.

/// "2,048 B".
QString bytesText(std::int64_t bytes);
/// "2,048".
QString countText(std::int64_t count);
/// "37.63": a fixed number of decimals.
QString decimalText(double value, int decimals);
/// "0.00114", "1.84e-5": significant digits, without trailing zeros.
QString significantText(double value, int digits);
/// "+0.2 %", "−1.4 %": a relative change with its sign, two significant digits and at least one decimal.
QString changeText(double relative);
/// "12.5 %".
QString percentText(double part, int decimals = 1);
/// "1e-3", as axes of logarithms say it.
QString powerText(int exponent);

}  // namespace kvista
