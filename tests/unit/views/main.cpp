// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <QApplication>

#include "views/theme.h"
#include "views/words.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  QApplication application(argc, argv);
  kvista::installEnglishPlurals();
  kvista::Theme::instance().install();
  kvista::Theme::instance().setMode(kvista::Theme::Mode::light);
  return RUN_ALL_TESTS();
}
