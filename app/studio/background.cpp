// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/background.h"

namespace kvista {

QThreadPool& diskThread() {
  static QThreadPool pool;
  pool.setMaxThreadCount(1);
  return pool;
}

void finishDiskWork() { diskThread().waitForDone(); }

}  // namespace kvista
