// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace kvista {

enum class ErrorCode {
  invalidArgument,
  unsupportedModel,
  corruptFile,
  io,
  outOfMemory,
  device,
  numerical,
  cancelled,
  internal,
};

/// The code's name as it appears in `--json` output and in the engine protocol.
std::string_view nameOf(ErrorCode code);

/// What went wrong, in the user's terms.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  ///< One sentence: what is wrong with which file, tensor or field, with the numbers.
  std::string detail;   ///< More for a report (a library's own words, say); may be empty.
  std::string hint;     ///< What to do; may be empty.

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {},
                                                std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(detail), std::move(hint)});
}

}  // namespace kvista

#define KVISTA_CONCATENATE_(a, b) a##b
#define KVISTA_CONCATENATE(a, b) KVISTA_CONCATENATE_(a, b)

/// `KVISTA_ASSIGN(auto file, openFile(path));` declares `file`, or returns the error from the enclosing function.
#define KVISTA_ASSIGN(declaration, expression) \
  KVISTA_ASSIGN_(declaration, expression, KVISTA_CONCATENATE(kvistaResult_, __LINE__))
#define KVISTA_ASSIGN_(declaration, expression, result)            \
  auto result = (expression);                                      \
  if (!result) return ::tl::unexpected(std::move(result).error()); \
  declaration = *std::move(result)

/// `KVISTA_CHECK(writeAll(file));` returns the error of a `Result<void>` (or any Result whose value is not wanted).
#define KVISTA_CHECK(expression)                                                                                   \
  do {                                                                                                             \
    if (auto kvistaResult = (expression); !kvistaResult) return ::tl::unexpected(std::move(kvistaResult).error()); \
  } while (false)
