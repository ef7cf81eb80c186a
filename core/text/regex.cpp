// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>

#include "core/text/oniguruma.h"
#include "core/text/unicode.h"

namespace kvista {
namespace {

constexpr std::size_t kMaximumPattern = 64 << 10;
constexpr std::uint32_t kMatchLimit = 10'000'000;  // Steps of one match attempt.
constexpr std::uint32_t kHeapLimitKib = 64 << 10;  // Of the interpreter.
constexpr std::size_t kJitStackBytes = 8 << 20;    // At most; it starts with 32 KiB.
constexpr std::size_t kSearchStride = 16 << 10;    // Start positions between two looks at the clock.
constexpr std::chrono::seconds kSearchTime{20};    // And one more for each MiB of text.

template <auto release>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
template <class T, auto release>
using Handle = std::unique_ptr<T, Releaser<release>>;

/// What a match needs besides the pattern; one a thread, since matching writes into it.
struct MatchSpace {
  Handle<pcre2_match_data, pcre2_match_data_free> data{pcre2_match_data_create(1, nullptr)};
  Handle<pcre2_match_context, pcre2_match_context_free> context{pcre2_match_context_create(nullptr)};
  Handle<pcre2_jit_stack, pcre2_jit_stack_free> stack{pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr)};

  MatchSpace() {
    if (!context) return;
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  static MatchSpace& ofThread() {
    thread_local MatchSpace space;
    return space;
  }
};

std::string messageOf(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

}  // namespace

struct Regex::Code {
  Handle<pcre2_code, pcre2_code_free> compiled;
  std::string where;
};

Regex::Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

Result<Regex> Regex::compile(std::string_view pattern, std::string_view where) {
  const std::string_view shown = pattern.substr(0, 200);
  if (pattern.size() > kMaximumPattern) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: the regular expression has {} bytes; at most {} are supported.", where, pattern.size(),
                            kMaximumPattern));
  }
  auto translated = translateOniguruma(pattern);
  if (!translated) {
    return fail(translated.error().code, fmt::format("{}: cannot use the regular expression \"{}\": {}.", where,
                                                     replaceInvalidUtf8(shown), translated.error().message));
  }
  Handle<pcre2_compile_context, pcre2_compile_context_free> context(pcre2_compile_context_create(nullptr));
  if (!context) return fail(ErrorCode::outOfMemory, fmt::format("{}: no memory for a regular expression.", where));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                                PCRE2_USE_OFFSET_LIMIT | (translated->hasNamedGroups ? PCRE2_NO_AUTO_CAPTURE : 0U);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->where = where;
  code->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated->text.data()), translated->text.size(),
                                     options, &error, &offset, context.get()));
  if (!code->compiled) {
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{}: cannot use the regular expression \"{}\": {}.", where, replaceInvalidUtf8(shown),
                            messageOf(error)),
                {},
                fmt::format("PCRE2 error {} at byte {} of \"{}\"", error, offset, translated->text.substr(0, 2000)));
  }
  // Without JIT on this machine, or for this pattern, matching falls back to the interpreter by itself.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  return Regex(std::move(code));
}

Result<void> Regex::search(std::string_view text, std::vector<Section>& sections) const {
  Place place;
  return searchOn(text, place, std::numeric_limits<std::size_t>::max(), sections);
}

Result<void> Regex::searchOn(std::string_view text, Place& place, std::size_t most,
                             std::vector<Section>& sections) const {
  sections.clear();
  place.isAtEnd = text.empty();
  if (text.empty()) return {};
  MatchSpace& space = MatchSpace::ofThread();
  if (!space.data || !space.context)
    return fail(ErrorCode::outOfMemory, "No memory to search with a regular expression.");
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const auto match = [&](std::size_t from, std::size_t last, std::uint32_t option) {
    pcre2_set_offset_limit(space.context.get(), last);
    return pcre2_match(code_->compiled.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | option, space.data.get(),
                       space.context.get());
  };
  const auto started = std::chrono::steady_clock::now();
  const auto allowed = kSearchTime * (1 + static_cast<long>(text.size() >> 20) / 20);
  auto& [from, covered, anyMatch, isAtEnd, spent] = place;
  std::size_t matches = 0;
  while (from <= text.size()) {
    if (sections.size() >= most) {
      spent += std::chrono::steady_clock::now() - started;
      return {};
    }
    const std::size_t last = std::min(from + kSearchStride, text.size());
    int found = match(from, last, 0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(from, last, PCRE2_NO_JIT);
    const bool late = (found == PCRE2_ERROR_NOMATCH || ++matches % 4096 == 0) &&
                      spent + (std::chrono::steady_clock::now() - started) > allowed;
    if (late || (found < 0 && found != PCRE2_ERROR_NOMATCH)) {
      return fail(ErrorCode::invalidArgument,
                  fmt::format("{}: the regular expression takes too many steps on a text of {} bytes, near byte {}.",
                              code_->where, text.size(), from),
                  "Use a tokenizer whose pattern does not backtrack without bounds.",
                  late ? "time limit" : messageOf(found));
    }
    if (found == PCRE2_ERROR_NOMATCH) {
      if (last == text.size()) break;
      for (from = last + 1; from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80;) ++from;
      continue;
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(space.data.get());
    const std::size_t begin = std::max<std::size_t>(bounds[0], covered);
    const std::size_t end = bounds[1];
    if (begin >= end && anyMatch && end == covered) {
      if (from >= text.size()) break;
      from += utf8Length(static_cast<unsigned char>(text[from]));
      continue;
    }
    if (end < begin)
      return fail(ErrorCode::invalidArgument, fmt::format("{}: a match ends before it begins.", code_->where));
    if (covered < begin) sections.push_back({covered, begin, false});
    sections.push_back({begin, end, true});
    covered = from = end;
    anyMatch = true;
  }
  if (covered < text.size()) sections.push_back({covered, text.size(), false});
  covered = text.size();
  isAtEnd = true;
  return {};
}

}  // namespace kvista
