// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/virtual_tensors.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/all_cores.h"
#include "core/io/float_conversion.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

constexpr int kVersion = 1;
constexpr std::size_t kMaximumBytes = std::size_t{64} << 20;
constexpr std::size_t kMaximumDimensions = 8;
constexpr float kLargestNumber = 1e30F;  // far below what bfloat16 holds
/// Numbers that share a key.
constexpr std::uint64_t kBlock = 4096;
/// The sum of four bytes that are uniform in 0 .. 255 has mean 510 and this deviation, sqrt(4 (256^2 - 1) / 12).
constexpr float kSumDeviation = 147.80054F;

/// SplitMix64's step (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

std::uint16_t bfloat16FromFloat(float number) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/// One whole block. 32-bit arithmetic without branches, so that it is vectorised.
void fillBlock(std::uint64_t key, float mean, float scale, std::array<std::uint16_t, kBlock>& out) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32);
  for (std::uint32_t i = 0; i < kBlock; ++i) {
    std::uint32_t h = i * 0x9E3779B9U + low;
    h = (h ^ (h >> 16)) * 0x85EBCA6BU;
    h ^= high;
    h = (h ^ (h >> 13)) * 0xC2B2AE35U;
    h ^= h >> 16;
    const std::uint32_t sum = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24);
    const float centred = static_cast<float>(static_cast<std::int32_t>(sum) - 510);
    out[i] = bfloat16FromFloat(mean + centred * scale);
  }
}

/// Numbers `first` to `first + count`, a piece of a block at a time, to `take(offset, bits)`.
template <class Take>
void generate(std::uint64_t tensorKey, const RandomTensor& tensor, std::uint64_t first, std::uint64_t count,
              Take&& take) {
  std::array<std::uint16_t, kBlock> block;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t place = first + done;
    const std::uint64_t within = place % kBlock;
    const std::uint64_t length = std::min(kBlock - within, count - done);
    fillBlock(mixed(tensorKey + place / kBlock), tensor.mean, tensor.deviation / kSumDeviation, block);
    take(done, std::span<const std::uint16_t>(block).subspan(within, length));
    done += length;
  }
}

/// The same, spread over the machine's cores where it pays.
template <class Take>
void generateOnAllCores(std::uint64_t tensorKey, const RandomTensor& tensor, std::uint64_t first, std::uint64_t count,
                        const Take& take) {
  constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;
  onAllCores(count, kWorthAThread, kBlock, [&](std::uint64_t begin, std::uint64_t end) {
    generate(tensorKey, tensor, first + begin, end - begin,
             [&](std::uint64_t offset, std::span<const std::uint16_t> bits) { take(begin + offset, bits); });
  });
}

std::uint64_t keyOf(std::uint64_t seed, std::string_view name) {
  return mixed(seed ^ XXH3_64bits(name.data(), name.size()));
}

class VirtualStore final : public TensorStore {
 public:
  VirtualStore(RandomTensors tensors, const std::filesystem::path& file) : random_(std::move(tensors)) {
    for (const auto& [name, tensor] : random_.tensors) infos_[name] = {name, tensor.shape, DataType::bf16, file};
  }
  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return infos_; }
  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo&) const override { return {}; }
  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = random_.tensors.find(tensor.name);
    if (found == random_.tensors.end())
      return fail(ErrorCode::invalidArgument,
                  fmt::format("The checkpoint has no tensor {}.", quoteForMessage(tensor.name)));
    const std::uint64_t count = infos_.find(tensor.name)->second.count();
    if (out.size() != count)
      return fail(ErrorCode::invalidArgument, fmt::format("Tensor {} holds {} numbers, but {} are asked for.",
                                                          quoteForMessage(tensor.name), count, out.size()));
    generateOnAllCores(keyOf(random_.seed, tensor.name), found->second, 0, count,
                       [&](std::uint64_t offset, std::span<const std::uint16_t> bits) {
                         for (std::size_t i = 0; i < bits.size(); ++i) out[offset + i] = floatFromBfloat16(bits[i]);
                       });
    return {};
  }

 private:
  RandomTensors random_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

/// Fields of the file, each checked before it is used.
class MarkerReader {
 public:
  explicit MarkerReader(const std::filesystem::path& file) : file_(file) {}

  [[nodiscard]] Result<RandomTensors> read() const {
    KVISTA_ASSIGN(const nlohmann::json marker, readJsonFile(file_, kMaximumBytes));
    if (!marker.is_object()) return corrupt(fmt::format("is {} instead of an object", kindOf(marker)));
    const auto version = marker.find("kvista_virtual");
    if (version == marker.end() || *version != kVersion)
      return corrupt(fmt::format("has no field \"kvista_virtual\" with the version {}", kVersion));
    const auto seed = marker.find("seed");
    if (seed == marker.end() || !seed->is_number_unsigned()) return corrupt("has no whole number as \"seed\"");
    const auto tensors = marker.find("tensors");
    if (tensors == marker.end() || !tensors->is_object() || tensors->empty())
      return corrupt("has no object of tensors as \"tensors\"");
    RandomTensors result;
    result.seed = seed->get<std::uint64_t>();
    std::uint64_t total = 0;
    for (const auto& [name, value] : tensors->items()) {
      KVISTA_ASSIGN(result.tensors[name], readTensor(name, value, total));
    }
    return result;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("{} {}.", file_.string(), what),
                "Make the model again with `kvista make-model`.");
  }
  [[nodiscard]] Result<RandomTensor> readTensor(const std::string& name, const nlohmann::json& value,
                                                std::uint64_t& total) const {
    const auto wrong = [&](const std::string& what) {
      return corrupt(fmt::format("gives {} for tensor {}", what, quoteForMessage(name)));
    };
    if (!value.is_object()) return wrong(fmt::format("{} instead of an object", kindOf(value)));
    RandomTensor tensor;
    const auto shape = value.find("shape");
    if (shape == value.end() || !shape->is_array() || shape->empty() || shape->size() > kMaximumDimensions)
      return wrong(fmt::format("no shape of 1 to {} lengths", kMaximumDimensions));
    std::uint64_t count = 1;
    for (const nlohmann::json& length : *shape) {
      if (!length.is_number_unsigned() || length == 0) return wrong("a length that is no whole number above 0");
      if (__builtin_mul_overflow(count, length.get<std::uint64_t>(), &count) || count > std::uint64_t{1} << 60)
        return wrong("more numbers than can be counted");
      tensor.shape.push_back(length.get<std::int64_t>());
    }
    if (__builtin_add_overflow(total, 2 * count, &total))
      return wrong("more numbers than can be counted together with the others");
    KVISTA_ASSIGN(tensor.mean, number(value, "mean", wrong));
    KVISTA_ASSIGN(tensor.deviation, number(value, "deviation", wrong));
    return tensor;
  }
  template <class Wrong>
  static Result<float> number(const nlohmann::json& value, const char* key, const Wrong& wrong) {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_number()) return wrong(fmt::format("no number as \"{}\"", key));
    const double number = found->template get<double>();
    if (!(std::abs(number) <= kLargestNumber))
      return wrong(fmt::format("{} as \"{}\", where at most {} is allowed,", number, key, kLargestNumber));
    return static_cast<float>(number);
  }

  const std::filesystem::path& file_;
};

}  // namespace

void fillRandom(std::uint64_t seed, std::string_view name, const RandomTensor& tensor, std::uint64_t first,
                std::span<std::uint16_t> out) {
  generateOnAllCores(keyOf(seed, name), tensor, first, out.size(),
                     [&](std::uint64_t offset, std::span<const std::uint16_t> bits) {
                       std::ranges::copy(bits, out.begin() + static_cast<std::ptrdiff_t>(offset));
                     });
}

nlohmann::json toJson(const RandomTensors& tensors) {
  nlohmann::json list = nlohmann::json::object();
  for (const auto& [name, tensor] : tensors.tensors)
    list[name] = {{"shape", tensor.shape}, {"mean", tensor.mean}, {"deviation", tensor.deviation}};
  return {{"kvista_virtual", kVersion}, {"seed", tensors.seed}, {"tensors", std::move(list)}};
}

Result<std::shared_ptr<const TensorStore>> openVirtualTensors(const std::filesystem::path& file) {
  KVISTA_ASSIGN(RandomTensors tensors, MarkerReader(file).read());
  return std::make_shared<const VirtualStore>(std::move(tensors), file);
}

}  // namespace kvista
