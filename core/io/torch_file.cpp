// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/io/json_file.h"
#include "core/io/mapped_file.h"
#include "core/io/mapped_tensors.h"
#include "core/io/torch_state_dict.h"
#include "core/io/zip_directory.h"

namespace kvista {
namespace {

using StorageBytes = std::map<std::string, std::span<const std::byte>, std::less<>>;

constexpr std::string_view kHint =
    "Get the file again or, better, the model's safetensors; where it can be loaded with transformers, save_pretrained "
    "writes them.";
constexpr std::string_view kPickleName = "data.pkl";
// What the older form begins with: 0x1950a86a20f9469cfc6c, then 1001, as pickles of their own.
constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::int64_t kLegacyProtocol = 1001;

tl::unexpected<Error> corrupt(std::string sentence) { return fail(ErrorCode::corruptFile, std::move(sentence)); }

/// One file's state dict and where its storages lie. Errors are sentences about "it".
struct TorchContent {
  TorchStateDict state;
  StorageBytes storages;
};

Result<std::span<const std::byte>> storedEntry(const std::map<std::string, ZipEntry, std::less<>>& entries,
                                               const std::string& name) {
  const auto found = entries.find(name);
  if (found == entries.end()) return corrupt(fmt::format("its zip archive has no {}.", quoteForMessage(name)));
  if (!found->second.isStored)
    return fail(ErrorCode::unsupportedModel,
                fmt::format("{} in its zip archive is compressed or encrypted, as torch.save does not write it.",
                            quoteForMessage(name)));
  return found->second.bytes;
}

Result<TorchContent> readArchive(std::span<const std::byte> bytes) {
  KVISTA_ASSIGN(const auto entries, readZipDirectory(bytes));
  // "<anything>/data.pkl", with what belongs to it in the same folder.
  const auto pickled = std::ranges::find_if(entries, [](const auto& entry) {
    const std::size_t slash = entry.first.find('/');
    return slash != std::string::npos && std::string_view(entry.first).substr(slash + 1) == kPickleName;
  });
  if (pickled == entries.end()) return corrupt("its zip archive has no data.pkl, so torch.save did not write it.");
  const std::string folder = pickled->first.substr(0, pickled->first.size() - kPickleName.size());
  if (entries.contains(folder + "byteorder")) {
    KVISTA_ASSIGN(const auto order, storedEntry(entries, folder + "byteorder"));
    if (std::string_view(reinterpret_cast<const char*>(order.data()), order.size()) != "little")
      return fail(ErrorCode::unsupportedModel,
                  "its numbers are not little endian; it was written on another kind of machine.");
  }
  KVISTA_ASSIGN(const auto pickle, storedEntry(entries, pickled->first));
  KVISTA_ASSIGN(const Pickle read, readPickle(pickle, isKnownTorchGlobal));
  TorchContent content;
  KVISTA_ASSIGN(content.state, torchStateDict(read));
  for (const auto& [key, storage] : content.state.storages) {
    KVISTA_ASSIGN(const auto stored, storedEntry(entries, fmt::format("{}data/{}", folder, key)));
    if (stored.size() != storage.bytes)
      return corrupt(fmt::format("storage {} has {} bytes, but its pickle says {} numbers of {}.", quoteForMessage(key),
                                 stored.size(), storage.count, nameOf(storage.type)));
    content.storages.emplace(key, stored);
  }
  return content;
}

/// Reads the pickles that stand one after another at the start of the older form, then the storages behind them.
class LegacyReader {
 public:
  explicit LegacyReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  Result<TorchContent> read() {
    KVISTA_ASSIGN(const Pickle magic, next());
    if (magic[magic.root].kind != PickleValue::Kind::longInteger || magic[magic.root].text != kMagic)
      return corrupt("it begins with a pickle that torch.save does not write.");
    KVISTA_ASSIGN(const Pickle protocol, next());
    if (protocol[protocol.root].integer != kLegacyProtocol)
      return fail(ErrorCode::unsupportedModel, fmt::format("it is of protocol {}, where {} is read.",
                                                           protocol[protocol.root].integer, kLegacyProtocol));
    KVISTA_ASSIGN(const Pickle machine, next());
    KVISTA_CHECK(checkMachine(machine));
    TorchContent content;
    KVISTA_ASSIGN(const Pickle state, next());
    KVISTA_ASSIGN(content.state, torchStateDict(state));
    KVISTA_ASSIGN(const Pickle keys, next());
    for (const std::uint32_t item : keys[keys.root].items)
      KVISTA_CHECK(readStorage(std::string(keys[item].text), content));
    for (const auto& [key, storage] : content.state.storages)
      if (!content.storages.contains(key))
        return corrupt(fmt::format("it does not hold storage {}.", quoteForMessage(key)));
    return content;
  }

 private:
  Result<Pickle> next() {
    KVISTA_ASSIGN(Pickle pickle, readPickle(rest_, isKnownTorchGlobal));
    rest_ = rest_.subspan(pickle.length);
    return pickle;
  }

  static Result<void> checkMachine(const Pickle& machine) {
    const std::vector<std::uint32_t>& items = machine[machine.root].items;
    for (std::size_t i = 0; machine[machine.root].kind == PickleValue::Kind::dictionary && i < items.size(); i += 2)
      if (machine[items[i]].text == "little_endian" && machine[items[i + 1]].integer == 0)
        return fail(ErrorCode::unsupportedModel,
                    "its numbers are big endian; it was written on another kind of machine.");
    return {};
  }

  /// A count of numbers, then the numbers.
  Result<void> readStorage(const std::string& key, TorchContent& content) {
    const auto known = content.state.storages.find(key);
    if (known == content.state.storages.end())
      return corrupt(fmt::format("it holds storage {}, of which no tensor is made.", quoteForMessage(key)));
    const TorchStorage& storage = known->second;
    std::uint64_t count = 0;
    if (rest_.size() >= sizeof count) std::memcpy(&count, rest_.data(), sizeof count);
    if (rest_.size() < sizeof count || count != storage.count || rest_.size() - sizeof count < storage.bytes)
      return corrupt(fmt::format("storage {} has {} numbers in {} bytes, but its pickle says {} numbers of {}.",
                                 quoteForMessage(key), count, rest_.size(), storage.count, nameOf(storage.type)));
    content.storages[key] = rest_.subspan(sizeof count, storage.bytes);
    rest_ = rest_.subspan(sizeof count + storage.bytes);
    return {};
  }

  std::span<const std::byte> rest_;
};

Result<TorchContent> readContent(std::span<const std::byte> bytes) {
  if (bytes.empty()) return corrupt("the file is empty.");
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 4));
  if (start.starts_with("PK\x03\x04")) return readArchive(bytes);
  if (start.front() == '\x80') return LegacyReader(bytes).read();
  return corrupt("it is neither a zip archive nor a pickle, so torch.save did not write it.");
}

Result<void> addTensors(TorchContent content, const std::filesystem::path& file, MappedTensors& store) {
  for (TorchTensor& tensor : content.state.tensors) {
    TensorInfo info{tensor.name, std::move(tensor.shape), tensor.type, file};
    KVISTA_ASSIGN(const std::uint64_t numberBytes, byteCount(tensor.type, 1));
    std::span<const std::byte> bytes =
        content.storages.find(tensor.storage)->second.subspan(tensor.offset * numberBytes);
    if (tensor.strides.empty()) bytes = bytes.first(info.count() * numberBytes);
    KVISTA_CHECK(store.add(std::move(info), bytes, std::move(tensor.strides)));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const TensorStore>> openTorchFiles(const std::vector<std::filesystem::path>& files) {
  auto store = std::make_shared<MappedTensors>();
  for (const std::filesystem::path& path : files) {
    KVISTA_ASSIGN(MappedFile opened, MappedFile::open(path));
    const auto mapped = std::make_shared<const MappedFile>(std::move(opened));
    store->keep(mapped);
    auto content = readContent(mapped->bytes());
    if (!content) {
      Error error = std::move(content).error();
      error.message = fmt::format("{}: {}", path.string(), error.message);
      if (error.hint.empty()) error.hint = kHint;
      return tl::unexpected(std::move(error));
    }
    KVISTA_CHECK(addTensors(*std::move(content), path, *store));
  }
  return store;
}

}  // namespace kvista
