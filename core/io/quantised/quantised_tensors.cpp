// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/quantised/quantised_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "core/io/json_file.h"

namespace kvista {
namespace {

constexpr std::string_view kHint = "Use the original checkpoint that the quantised one was made from.";

const nlohmann::json* fieldOf(const nlohmann::json& settings, std::string_view key) {
  const auto found = settings.find(key);
  return found == settings.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

tl::unexpected<Error> QuantisedTensors::unsupported(const std::string& what) const {
  return fail(ErrorCode::unsupportedModel, fmt::format("{}: quantization_config {}.", place_, what),
              std::string(kHint));
}

tl::unexpected<Error> QuantisedTensors::corrupt(const TensorInfo& tensor, const std::string& what) {
  return fail(ErrorCode::corruptFile,
              fmt::format("{}: tensor {} {}.", tensor.file.string(), quoteForMessage(tensor.name), what),
              std::string(kHint));
}

Result<std::int64_t> QuantisedTensors::integer(std::string_view key, std::int64_t otherwise, std::int64_t least,
                                               std::int64_t most) const {
  const nlohmann::json* field = fieldOf(settings_, key);
  if (field == nullptr) return otherwise;
  const bool fits = field->is_number_integer() && *field >= least && *field <= most;
  if (!fits)
    return unsupported(fmt::format("has {} as {}, where a whole number from {} to {} is read",
                                   field->dump().substr(0, 60), key, least, most));
  return field->get<std::int64_t>();
}

Result<bool> QuantisedTensors::boolean(std::string_view key, bool otherwise) const {
  const nlohmann::json* field = fieldOf(settings_, key);
  if (field == nullptr) return otherwise;
  if (!field->is_boolean())
    return unsupported(fmt::format("has {} as {} instead of true or false", kindOf(*field), key));
  return field->get<bool>();
}

Result<std::string> QuantisedTensors::text(std::string_view key, std::string_view otherwise) const {
  const nlohmann::json* field = fieldOf(settings_, key);
  if (field == nullptr) return std::string(otherwise);
  if (!field->is_string()) return unsupported(fmt::format("has {} as {} instead of a string", kindOf(*field), key));
  auto value = field->get<std::string>();
  std::ranges::transform(value, value.begin(),
                         [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return value;
}

std::vector<std::string> QuantisedTensors::namesBefore(std::string_view suffix) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : source_->tensors())
    if (name.ends_with(suffix)) names.push_back(name.substr(0, name.size() - suffix.size()));
  return names;
}

const TensorInfo* QuantisedTensors::find(const std::string& name) const {
  const auto found = source_->tensors().find(name);
  return found == source_->tensors().end() ? nullptr : &found->second;
}

Result<const TensorInfo*> QuantisedTensors::need(const std::string& name, std::initializer_list<DataType> types,
                                                 std::initializer_list<std::int64_t> shape) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr)
    return fail(
        ErrorCode::corruptFile,
        fmt::format("{}: tensor {} is missing, which its quantization_config asks for.", place_, quoteForMessage(name)),
        std::string(kHint));
  if (std::ranges::find(types, tensor->type) == types.end()) {
    std::vector<std::string_view> names;
    for (const DataType type : types) names.push_back(nameOf(type));
    return corrupt(*tensor, fmt::format("is made of {} instead of {}", nameOf(tensor->type), fmt::join(names, " or ")));
  }
  const bool fits = std::ranges::equal(
      tensor->shape, shape, [](std::int64_t is, std::int64_t wanted) { return wanted == -1 || is == wanted; });
  if (!fits) {
    std::vector<std::string> wanted;
    for (const std::int64_t length : shape) wanted.push_back(length == -1 ? "any" : fmt::to_string(length));
    return corrupt(*tensor, fmt::format("has shape [{}]; the tensors it belongs to ask for [{}]",
                                        fmt::join(tensor->shape, ", "), fmt::join(wanted, ", ")));
  }
  if (source_->raw(*tensor).empty() && tensor->count() > 0) return corrupt(*tensor, "does not lie in row-major order");
  return tensor;
}

void QuantisedTensors::replace(const std::string& name, std::vector<std::int64_t> shape,
                               const std::filesystem::path& file, std::initializer_list<std::string> parts,
                               ComputedTensors::Read read) {
  for (const std::string& part : parts) result_->hide(part);
  result_->set(TensorInfo{name, std::move(shape), DataType::packed, file}, std::move(read));
  ++replaced_;
}

void QuantisedTensors::replaceStack(const std::string& name, std::vector<std::int64_t> shape,
                                    const std::filesystem::path& file, std::initializer_list<std::string> parts,
                                    ComputedTensors::ReadMatrix read) {
  for (const std::string& part : parts) result_->hide(part);
  result_->setStack(TensorInfo{name, std::move(shape), DataType::packed, file}, std::move(read));
  ++replaced_;
}

Result<std::vector<std::uint32_t>> groupOfEach(const TensorStore& store, const TensorInfo* list, std::int64_t count,
                                               std::int64_t groupSize, std::int64_t groups) {
  std::vector<std::uint32_t> group;
  if (list != nullptr) {
    group = numbersOf<std::uint32_t>(store, *list);
    for (const std::uint32_t each : group)
      if (each >= groups)
        return QuantisedTensors::corrupt(*list, fmt::format("names group {}, where there are {}", each, groups));
    return group;
  }
  group.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) group.push_back(static_cast<std::uint32_t>(i / groupSize));
  return group;
}

Result<std::vector<float>> floatsOf(const TensorStore& store, const TensorInfo& tensor) {
  std::vector<float> numbers(tensor.count());
  KVISTA_CHECK(store.readFloat32(tensor, numbers));
  return numbers;
}

}  // namespace kvista
