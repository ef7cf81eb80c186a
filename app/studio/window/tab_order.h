// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

class QLayout;

namespace kvista {

/// Tab goes through what is laid out as it is seen: row after row and from left to right, whatever the order in which
/// it was made.
void tabAsSeen(QLayout& layout);

}  // namespace kvista
