// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/torch_state_dict.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/io/gguf_file.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMostAxes = 16;

struct NamedType {
  std::string_view name;
  DataType type;
};
constexpr NamedType kStorageTypes[] = {
    {"DoubleStorage", DataType::f64},    {"FloatStorage", DataType::f32}, {"HalfStorage", DataType::f16},
    {"BFloat16Storage", DataType::bf16}, {"LongStorage", DataType::i64},  {"IntStorage", DataType::i32},
    {"ShortStorage", DataType::i16},     {"CharStorage", DataType::i8},   {"ByteStorage", DataType::u8},
    {"BoolStorage", DataType::boolean},
};
// Of tensors whose storage has no type of its own.
constexpr NamedType kNumberTypes[] = {
    {"float8_e4m3fn", DataType::f8e4m3}, {"float8_e5m2", DataType::f8e5m2}, {"uint16", DataType::u16},
    {"uint32", DataType::u32},           {"uint64", DataType::u64},
};
constexpr std::string_view kRebuild = "torch._utils._rebuild_tensor_v2",
                           kRebuildTyped = "torch._utils._rebuild_tensor_v3",
                           kRebuildParameter = "torch._utils._rebuild_parameter",
                           kUntyped = "torch.storage.UntypedStorage";

template <std::size_t n>
std::optional<DataType> lookUp(const NamedType (&types)[n], std::string_view global, std::string_view module) {
  if (!global.starts_with(module)) return std::nullopt;
  const auto* found = std::ranges::find(types, global.substr(module.size()), &NamedType::name);
  return found == std::end(types) ? std::nullopt : std::optional(found->type);
}

std::optional<DataType> storageType(std::string_view global) {
  if (global == kUntyped) return DataType::u8;
  // Older files name the GPU's storages, "torch.cuda.HalfStorage".
  const auto type = lookUp(kStorageTypes, global, "torch.");
  return type ? type : lookUp(kStorageTypes, global, "torch.cuda.");
}

class StateDictReader {
 public:
  explicit StateDictReader(const Pickle& pickle) : pickle_(pickle) {}

  Result<TorchStateDict> read() {
    const PickleValue& root = pickle_[pickle_.root];
    if (root.kind != Kind::dictionary)
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("its pickle is {} instead of a dictionary of tensors.", kindOf(root)));
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < root.items.size(); i += 2) {
      const PickleValue& key = pickle_[root.items[i]];
      if (key.kind != Kind::text || !isUtf8(key.text))
        return fail(ErrorCode::unsupportedModel,
                    fmt::format("its pickle names a tensor by {} instead of a text in UTF-8.", kindOf(key)));
      name_ = key.text;
      if (!names.insert(key.text).second) return corrupt("is named twice");
      KVISTA_CHECK(readTensor(pickle_[root.items[i + 1]]));
    }
    return std::move(result_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> corrupt(const std::string& what) const {
    return fail(ErrorCode::corruptFile, fmt::format("tensor {} {}.", quoteForMessage(name_), what));
  }

  /// The global's name of a call, or nothing.
  [[nodiscard]] std::string_view calledBy(const PickleValue& value) const {
    return value.kind == Kind::call ? pickle_[value.items[0]].text : std::string_view();
  }

  Result<void> readTensor(const PickleValue& value) {
    const PickleValue* made = &value;
    if (calledBy(*made) == kRebuildParameter) {
      const PickleValue& arguments = pickle_[made->items[1]];
      if (arguments.items.empty()) return corrupt("is a parameter of nothing");
      made = &pickle_[arguments.items[0]];
    }
    const std::string_view global = calledBy(*made);
    if (global != kRebuild && global != kRebuildTyped) {
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("its pickle holds {} as {} instead of a tensor.", kindOf(*made), quoteForMessage(name_)),
                  made->kind == Kind::dictionary
                      ? "Save the model's own dictionary of tensors, without what a training holds beside it."
                      : "");
    }
    const std::vector<std::uint32_t>& arguments = pickle_[made->items[1]].items;
    if (arguments.size() < (global == kRebuildTyped ? 7 : 4)) return corrupt("is made of too few arguments");
    TorchTensor tensor;
    tensor.name = name_;
    KVISTA_ASSIGN(const TorchStorage* const storage, readStorage(pickle_[arguments[0]], tensor.storage));
    tensor.type = storage->type;
    if (global == kRebuildTyped) {
      const PickleValue& type = pickle_[arguments[6]];
      const auto known = type.kind == Kind::global ? lookUp(kNumberTypes, type.text, "torch.") : std::nullopt;
      if (!known) return corrupt("is of a type that is not known");
      tensor.type = *known;
    }
    const PickleValue& offset = pickle_[arguments[1]];
    if (offset.kind != Kind::integer || offset.integer < 0) return corrupt("has no offset from 0 on");
    tensor.offset = static_cast<std::uint64_t>(offset.integer);
    KVISTA_ASSIGN(tensor.shape, lengths(pickle_[arguments[2]], "shape"));
    KVISTA_ASSIGN(tensor.strides, lengths(pickle_[arguments[3]], "strides"));
    KVISTA_CHECK(checkPlace(tensor, *storage));
    result_.tensors.push_back(std::move(tensor));
    return {};
  }

  Result<std::vector<std::int64_t>> lengths(const PickleValue& value, std::string_view what) const {
    const bool isShort = value.kind == Kind::tuple && value.items.size() <= kMostAxes;
    const auto isLength = [&](std::uint32_t item) {
      return pickle_[item].kind == Kind::integer && pickle_[item].integer >= 0;
    };
    if (!isShort || !std::ranges::all_of(value.items, isLength))
      return corrupt(fmt::format("has no {} of at most {} lengths from 0 on", what, kMostAxes));
    std::vector<std::int64_t> lengths;
    for (const std::uint32_t item : value.items) lengths.push_back(pickle_[item].integer);
    return lengths;
  }

  /// ("storage", type, key, location, count): in the older form with a view of another storage, or None, behind them.
  Result<const TorchStorage*> readStorage(const PickleValue& value, std::string& key) {
    if (value.kind != Kind::persistent) return corrupt("has no storage");
    const PickleValue& tuple = pickle_[value.items[0]];
    if (tuple.kind != Kind::tuple || tuple.items.size() < 5 || pickle_[tuple.items[0]].text != "storage")
      return corrupt("has no storage");
    if (tuple.items.size() > 5 && pickle_[tuple.items[5]].kind != Kind::none)
      return fail(ErrorCode::unsupportedModel,
                  fmt::format("tensor {} lies in a view of a storage, which is not read.", quoteForMessage(name_)));
    const PickleValue &global = pickle_[tuple.items[1]], &name = pickle_[tuple.items[2]],
                      &count = pickle_[tuple.items[4]];
    const auto type = global.kind == Kind::global ? storageType(global.text) : std::nullopt;
    if (!type || name.kind != Kind::text || count.kind != Kind::integer || count.integer < 0)
      return corrupt("has a storage without type, name or length");
    TorchStorage storage{*type, static_cast<std::uint64_t>(count.integer), 0};
    KVISTA_ASSIGN(storage.bytes, byteCount(storage.type, storage.count));
    key = name.text;
    const auto [place, isNew] = result_.storages.try_emplace(key, storage);
    if (!isNew && (place->second.type != storage.type || place->second.count != storage.count))
      return corrupt(fmt::format("says something else about storage {} than a tensor before it", quoteForMessage(key)));
    return &place->second;
  }

  Result<void> checkPlace(TorchTensor& tensor, const TorchStorage& storage) const {
    if (tensor.shape.size() != tensor.strides.size())
      return corrupt(fmt::format("has {} lengths, but {} strides", tensor.shape.size(), tensor.strides.size()));
    KVISTA_ASSIGN(const std::uint64_t numberBytes, byteCount(tensor.type, 1));
    const std::uint64_t room = storage.bytes / numberBytes;
    const auto outside = [&] {
      return corrupt(
          fmt::format("of shape [{}] with strides [{}] at number {} does not fit into its storage of {} numbers",
                      fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "), tensor.offset, room));
    };
    // More numbers than the storage has cannot lie in it, unless some stand for several places, as in no checkpoint.
    std::uint64_t count = 1, last = tensor.offset;
    for (const std::int64_t length : tensor.shape)
      if (__builtin_mul_overflow(count, static_cast<std::uint64_t>(length), &count)) return outside();
    if (count > room || tensor.offset > room) return outside();
    std::int64_t next = 1;
    bool isInOrder = true;
    for (std::size_t axis = tensor.shape.size(); count > 0 && axis-- > 0;) {
      if (tensor.shape[axis] == 1) continue;
      isInOrder = isInOrder && tensor.strides[axis] == next;
      next *= tensor.shape[axis];
      std::uint64_t reach = 0;
      if (__builtin_mul_overflow(static_cast<std::uint64_t>(tensor.shape[axis] - 1),
                                 static_cast<std::uint64_t>(tensor.strides[axis]), &reach) ||
          __builtin_add_overflow(last, reach, &last))
        return outside();
    }
    if (count > 0 && last >= room) return outside();
    if (isInOrder) tensor.strides.clear();
    return {};
  }

  const Pickle& pickle_;
  std::string_view name_;  // of the tensor that is read
  TorchStateDict result_;
};

}  // namespace

bool isKnownTorchGlobal(std::string_view global) {
  return global == "collections.OrderedDict" || global == kRebuild || global == kRebuildTyped ||
         global == kRebuildParameter || storageType(global) || lookUp(kNumberTypes, global, "torch.");
}

Result<TorchStateDict> torchStateDict(const Pickle& pickle) { return StateDictReader(pickle).read(); }

}  // namespace kvista
