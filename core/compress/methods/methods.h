// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/compress/method.h"

// One function a file in this folder.
namespace kvista {

Method codedMethod();
Method codedJointMethod();
Method codedHeadMethod();
Method jointMethod();
Method separateMethod();
Method groupedMethod();
Method recalkvMethod();
Method svdMethod();
Method plainMethod();

}  // namespace kvista
