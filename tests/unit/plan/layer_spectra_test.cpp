// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/layer_spectra.h"

#include <gtest/gtest.h>

#include "allocation_cases.h"

namespace kvista {
namespace {

using test::unitOf;

TEST(LayerSpectraTest, GroupsOfALayerBecomeOneFallingRowAndWidthsFollow) {
  std::vector<BudgetUnit> units = {unitOf({8, 2}), unitOf({5, 1}), unitOf({4, 2, 0.5})};
  units[1].layer = 1;
  const LayerOrder order(units, 2);
  std::vector<LayerSpectra> spectra = order.spectra();
  ASSERT_EQ(spectra.size(), 2U);
  EXPECT_EQ(spectra[0].eigenvalues, (std::vector<float>{8, 4, 2, 2, 0.5}));
  EXPECT_EQ(spectra[1].eigenvalues, (std::vector<float>{5, 1}));
  order.fillWidths({{8, 1}, {4, 0}, {2, 3, 0}}, spectra);
  EXPECT_EQ(spectra[0].widths, (std::vector<std::uint8_t>{8, 2, 1, 3, 0}));
  EXPECT_EQ(spectra[1].widths, (std::vector<std::uint8_t>{4, 0}));
}

TEST(LayerSpectraTest, UnitsOfOtherLayersAreLeftOut) {
  std::vector<BudgetUnit> units = {unitOf({8, 2}), unitOf({5, 1})};
  units[0].layer = 7;
  const LayerOrder order(units, 2);
  EXPECT_EQ(order.spectra()[0].eigenvalues, (std::vector<float>{5, 1}));
  EXPECT_TRUE(order.spectra()[1].eigenvalues.empty());
  units[0].layer = -1;
  EXPECT_EQ(LayerOrder(units, 2).spectra()[0].eigenvalues, (std::vector<float>{5, 1}));
  EXPECT_TRUE(LayerOrder(units, -3).spectra().empty());
}

}  // namespace
}  // namespace kvista
