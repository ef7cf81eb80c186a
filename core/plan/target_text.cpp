// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/plan/target_text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

namespace kvista {

namespace {

constexpr const char* kHint =
    "Write 8 or 8x for times smaller, 12.5% for a share, 2048 B for bytes a token, 2% loss for an allowed loss.";

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalidArgument, std::move(message), kHint); }

struct Unit {
  std::string_view name;
  Target::Kind kind;
  double factor;
  bool inverse = false;  // The target is 1 / number.
};

constexpr std::array kUnits = {
    Unit{"", Target::Kind::share, 1, true},
    Unit{"x", Target::Kind::share, 1, true},
    Unit{"\u00d7", Target::Kind::share, 1, true},
    Unit{"times", Target::Kind::share, 1, true},
    Unit{"xsmaller", Target::Kind::share, 1, true},
    Unit{"timessmaller", Target::Kind::share, 1, true},
    Unit{"%", Target::Kind::share, 0.01},
    Unit{"%ofthecache", Target::Kind::share, 0.01},
    Unit{"%kept", Target::Kind::keptFraction, 0.01},
    Unit{"%loss", Target::Kind::maxLoss, 0.01},
    Unit{"b", Target::Kind::bytesPerToken, 1},
    Unit{"byte", Target::Kind::bytesPerToken, 1},
    Unit{"bytes", Target::Kind::bytesPerToken, 1},
    Unit{"kb", Target::Kind::bytesPerToken, 1000},
    Unit{"kib", Target::Kind::bytesPerToken, 1024},
};

}  // namespace

Result<Target> parseTarget(std::string_view text) {
  std::string compact;
  for (const char c : text)
    if (std::isspace(static_cast<unsigned char>(c)) == 0)
      compact += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (compact.empty()) return bad("There is no target.");
  const char* const end = compact.data() + compact.size();
  double number = 0;
  const auto [rest, error] = std::from_chars(compact.data(), end, number);
  if (error != std::errc() || !std::isfinite(number))
    return bad(fmt::format("'{}' does not begin with a number.", text));
  std::string_view name(rest, static_cast<std::size_t>(end - rest));

  // "1/8" is eight times smaller.
  if (name.starts_with('/')) {
    double divisor = 0;
    const auto [after, divisorError] = std::from_chars(rest + 1, end, divisor);
    if (divisorError != std::errc() || after != end || !(divisor > 0))
      return bad(fmt::format("'{}' is no fraction.", text));
    number /= divisor;
    if (!(number > 0 && number <= 1))
      return bad(fmt::format("A share of {} does not lie above 0 and at most at 1.", text));
    return Target{Target::Kind::share, number};
  }
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    if (!(number > 0)) return bad(fmt::format("A target of {} is not possible; it must be above 0.", text));
    if (unit.inverse && number < 1)
      return bad(fmt::format("{} times smaller would be larger; it must be at least 1.", number));
    const double value = unit.inverse ? 1 / number : number * unit.factor;
    if ((unit.kind == Target::Kind::share || unit.kind == Target::Kind::keptFraction) && value > 1)
      return bad(fmt::format("{} % is more than the whole cache.", number));
    return Target{unit.kind, value};
  }
  return bad(fmt::format("'{}' is no unit of a target.", name));
}

}  // namespace kvista
