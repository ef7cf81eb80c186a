// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/model/rotation_table.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "core/cuda/latent_attention.h"

namespace kvista {

RotationTable makeRotationTable(std::span<const float> frequencies, int segment, int lowFunctions) {
  const auto lowPairs = static_cast<Eigen::Index>(frequencies.size()) - kDirectPairs;
  const Eigen::VectorXd place = Eigen::VectorXd::LinSpaced(segment, 0, segment - 1);
  Eigen::MatrixXd low(segment, 2 * lowPairs);  // cosines, then sines
  for (Eigen::Index j = 0; j < lowPairs; ++j) {
    const Eigen::ArrayXd angles =
        place.array() * static_cast<double>(frequencies[static_cast<std::size_t>(kDirectPairs + j)]);
    low.col(j) = angles.cos();
    low.col(lowPairs + j) = angles.sin();
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> spectrum(low.transpose() * low);
  const Eigen::Index found = std::min<Eigen::Index>(lowFunctions, 2 * lowPairs);
  // Singular vectors, scaled so that the largest entry is 1, which float16 holds best.
  Eigen::MatrixXd functions = Eigen::MatrixXd::Zero(segment, lowFunctions),
                  coefficients = Eigen::MatrixXd::Zero(lowFunctions, 2 * lowPairs);
  for (Eigen::Index m = 0; m < found; ++m) {
    const Eigen::VectorXd direction = spectrum.eigenvectors().col(2 * lowPairs - 1 - m);
    const Eigen::VectorXd values = low * direction;
    const double scale = values.cwiseAbs().maxCoeff();
    if (scale < 1e-9) break;
    functions.col(m) = values / scale;
    coefficients.row(m) = direction.transpose() * scale;
  }

  RotationTable result{segment, lowFunctions, {}, {}, {}, (low - functions * coefficients).cwiseAbs().maxCoeff()};
  const int columns = 2 * kDirectPairs + lowFunctions;
  result.table.resize(static_cast<std::size_t>(columns) * static_cast<std::size_t>(segment));
  for (int column = 0; column < columns; ++column)
    for (int d = 0; d < segment; ++d) {
      double value = 0;
      if (column < 2 * kDirectPairs) {
        const double angle = d * static_cast<double>(frequencies[static_cast<std::size_t>(column / 2)]);
        value = column % 2 == 0 ? std::cos(angle) : std::sin(angle);
      } else {
        value = functions(d, column - 2 * kDirectPairs);
      }
      result.table[(static_cast<std::size_t>(column / 8) * static_cast<std::size_t>(segment) +
                    static_cast<std::size_t>(d)) *
                       8 +
                   static_cast<std::size_t>(column % 8)] = static_cast<float>(value);
    }
  for (Eigen::Index j = 0; j < lowPairs; ++j)
    for (Eigen::Index m = 0; m < lowFunctions; ++m) {
      result.lowCosine.push_back(static_cast<float>(coefficients(m, j)));
      result.lowSine.push_back(static_cast<float>(coefficients(m, lowPairs + j)));
    }
  return result;
}

}  // namespace kvista
