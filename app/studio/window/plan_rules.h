// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What can be changed of a method's plans, beside what else is asked for of them. A wish says nothing of parts that are
// the method's own.
#pragma once

#include <QString>

#include "core/protocol/records.h"

namespace kvista {

/// Whether methods that look at weights alone cannot have it.
bool needsText(Metric metric);
bool hasBases(const MethodChoice& method);
bool hasDamping(const MethodChoice& method, const PlanWish& wish);
bool hasGroupSize(const MethodChoice& method, const PlanWish& wish);
/// Whether heads are compared.
bool hasMeasure(const MethodChoice& method, const PlanWish& wish);

// Why not, in a sentence; empty: it can.
QString whyNoRanks(const MethodChoice& method, const PlanWish& wish);
QString whyNoEps(const MethodChoice& method, const PlanWish& wish);
QString whyNoTrellis(const MethodChoice& method, const PlanWish& wish);
/// Layers by others: with PlanWish::chain and with PlanWish::tokenNumbers.
QString whyNotPredicted(const MethodChoice& method, const PlanWish& wish);
QString whyNotUnwhitened(const MethodChoice& method, const PlanWish& wish);
QString whyNotSinkFree(const MethodChoice& method, const PlanWish& wish);
QString whyNotCentred(const MethodChoice& method, const PlanWish& wish);
QString whyNotCompensated(const MethodChoice& method, const PlanWish& wish);
QString whyNotUncalibrated(const MethodChoice& method, const PlanWish& wish);
QString whyNotShared(const MethodChoice& method, const PlanWish& wish);

}  // namespace kvista
