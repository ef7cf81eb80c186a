// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "picture_difference.h"

#include <algorithm>
#include <array>

namespace kvista {
namespace {

constexpr int kShade = 5;  // Of 255; what a missing hairline leaves is 6 in the dark look and 9 in the light one.

std::array<int, 3> channelsOf(QRgb colour) { return {qRed(colour), qGreen(colour), qBlue(colour)}; }

/// The mean of every pixel and its eight neighbours: a stroke has the same there wherever between pixels it lies.
QImage softened(const QImage& image) {
  QImage result(image.size(), QImage::Format_RGB32);
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      std::array<int, 3> sum = {};
      for (int row = y - 1; row <= y + 1; ++row)
        for (int column = x - 1; column <= x + 1; ++column) {
          const std::array<int, 3> there =
              channelsOf(image.pixel(std::clamp(column, 0, image.width() - 1), std::clamp(row, 0, image.height() - 1)));
          for (std::size_t i = 0; i < 3; ++i) sum[i] += there[i];
        }
      result.setPixel(x, y, qRgb(sum[0] / 9, sum[1] / 9, sum[2] / 9));
    }
  return result;
}

/// Whether the pixel lies between those of the other picture around it.
bool isFound(QRgb pixel, const QImage& other, int x, int y) {
  const std::array<int, 3> wanted = channelsOf(pixel);
  std::array<int, 3> least = {255, 255, 255}, most = {0, 0, 0};
  for (int row = std::max(0, y - 1); row <= std::min(other.height() - 1, y + 1); ++row)
    for (int column = std::max(0, x - 1); column <= std::min(other.width() - 1, x + 1); ++column) {
      const std::array<int, 3> there = channelsOf(other.pixel(column, row));
      for (std::size_t i = 0; i < 3; ++i) {
        least[i] = std::min(least[i], there[i]);
        most[i] = std::max(most[i], there[i]);
      }
    }
  for (std::size_t i = 0; i < 3; ++i) {
    // Beside an edge, smoothing changes more than on a plain ground.
    const int allowed = kShade + (most[i] - least[i]) / 4;
    if (wanted[i] < least[i] - allowed || wanted[i] > most[i] + allowed) return false;
  }
  return true;
}

}  // namespace

PictureDifference differenceOf(const QImage& before, const QImage& after) {
  if (before.size() != after.size()) return {std::max(1, before.width() * before.height()), before.rect()};
  const QImage one = softened(before), other = softened(after);
  PictureDifference result;
  for (int y = 0; y < one.height(); ++y)
    for (int x = 0; x < one.width(); ++x) {
      const QRgb a = one.pixel(x, y), b = other.pixel(x, y);
      if (a == b || (isFound(a, other, x, y) && isFound(b, one, x, y))) continue;
      ++result.pixels;
      result.where |= QRect(x, y, 1, 1);
    }
  return result;
}

}  // namespace kvista
