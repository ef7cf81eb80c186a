// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace kvista {

/// One value of a pickle. Others are named by their place in Pickle::values, since they may be shared or hold each
/// other.
struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    longInteger,  ///< Of more than 64 bits: `text` has its little-endian bytes.
    text,
    tuple,
    list,
    dictionary,  ///< `items`: key, value, key, value, ...
    global,      ///< `text`: "module.name".
    call,        ///< Of a global with a tuple of arguments: `items`. Nothing was called.
    persistent,  ///< What stands outside the pickle, by the name in its one item.
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< Or boolean.
  std::string_view text;
  std::vector<std::uint32_t> items;
};

/// What a Python pickle says.
struct Pickle {
  std::vector<PickleValue> values;
  std::set<std::string, std::less<>> globals;  ///< Their texts.
  std::uint32_t root = 0;
  std::size_t length = 0;  ///< In bytes, up to and including its last instruction.
  [[nodiscard]] const PickleValue& operator[](std::uint32_t place) const { return values[place]; }
};

/// Reads the pickle that `bytes` begin with, as plain values; texts stay views of `bytes`. Executes nothing: a call is
/// kept as the global's name and its arguments, and a global for which `isKnown` says no is refused. Understands what a
/// dictionary of tensors is written with in protocols 2 to 4. Time and memory are bounded by the pickle's length; at
/// most two million values. Errors (unsupportedModel, corruptFile) are sentences about "its pickle".
Result<Pickle> readPickle(std::span<const std::byte> bytes, const std::function<bool(std::string_view)>& isKnown);

/// "a tuple", "an integer", ...: for messages.
std::string_view kindOf(const PickleValue& value);

}  // namespace kvista
