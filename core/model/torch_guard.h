// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <exception>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/base/error.h"

namespace kvista {

/// Runs `function` (which answers a Result) and turns what libtorch throws into an error; `what` begins the sentence
/// ("The forward pass"). The library's own words go into the detail.
template <class Function>
std::invoke_result_t<Function> guardTorch(std::string_view what, Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const c10::OutOfMemoryError& error) {
    return fail(ErrorCode::outOfMemory, fmt::format("{} ran out of device memory.", what),
                "Use shorter or fewer windows at a time, or another device.", error.what_without_backtrace());
  } catch (const std::bad_alloc& error) {
    return fail(ErrorCode::outOfMemory, fmt::format("{} ran out of memory.", what),
                "Use shorter or fewer windows at a time.", error.what());
  } catch (const c10::Error& error) {
    // The CPU allocator reports exhaustion as a plain error.
    const std::string detail = error.what_without_backtrace();
    if (detail.find("DefaultCPUAllocator") != std::string::npos) {
      return fail(ErrorCode::outOfMemory, fmt::format("{} ran out of memory.", what),
                  "Use shorter or fewer windows at a time.", detail);
    }
    return fail(ErrorCode::device, fmt::format("{} failed inside libtorch.", what), "", detail);
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, fmt::format("{} failed.", what), "", error.what());
  }
}

}  // namespace kvista
