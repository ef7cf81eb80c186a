// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QImage>
#include <QRect>

namespace kvista {

/// Where two pictures of one view differ in more than the smoothing of edges.
struct PictureDifference {
  int pixels = 0;
  QRect where;  ///< Around all of them.
};

/// Both pictures are softened by a mean of 3 x 3 pixels. A pixel then differs where a channel of it lies more than a
/// few shades outside what the other picture has there or one pixel beside it, in either direction. Edges smoothed
/// differently, or less than a pixel away, lie between their neighbours; what has moved further, is missing or is new
/// does not. Pictures of different sizes differ everywhere.
PictureDifference differenceOf(const QImage& before, const QImage& after);

}  // namespace kvista
