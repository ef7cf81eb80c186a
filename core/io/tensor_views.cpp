// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/tensor_views.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "core/io/float_conversion.h"
#include "core/io/json_file.h"

namespace kvista {
namespace {

class StoreWithViews final : public TensorStore {
 public:
  explicit StoreWithViews(std::shared_ptr<const TensorStore> store) : store_(std::move(store)), tensors_(store_->tensors()) {}

  Result<void> add(const std::string& name, const TensorView& view) {
    if (!view.vectors.empty()) return addStacked(name, view.vectors);
    KVISTA_ASSIGN(const TensorInfo* const stored, find(view.of, name));
    const TensorInfo& whole = *stored;
    const std::size_t axes = whole.shape.size();
    if (axes < 1 || axes > 2 || (axes == 1 && view.isTransposed)) return unfit(whole, view, "a matrix");
    const std::int64_t rows = view.isTransposed ? whole.shape[1] : whole.shape[0];
    // Numbers come from a description, whose sizes are bounded far below what these products could overflow.
    if (view.first < 0 || view.block < 1 || view.blocks < 1 || (view.blocks > 1 && view.stride < view.block) ||
        view.first + (view.blocks - 1) * view.stride + view.block > rows)
      return unfit(whole, view, fmt::format("{} rows or more", view.first + (view.blocks - 1) * view.stride + view.block));
    TensorInfo info = whole;
    info.name = name;
    info.shape.assign(1, view.block * view.blocks);
    if (axes == 2) info.shape.push_back(view.isTransposed ? whole.shape[0] : whole.shape[1]);
    return add(std::move(info), View{view, {&whole}});
  }

  [[nodiscard]] const std::map<std::string, TensorInfo, std::less<>>& tensors() const override { return tensors_; }

  [[nodiscard]] std::span<const std::byte> raw(const TensorInfo& tensor) const override {
    const auto found = views_.find(tensor.name);
    if (found == views_.end()) return store_->raw(tensor);
    const auto& [view, stored] = found->second;
    if (!view.vectors.empty() || view.isTransposed || view.blocks > 1) return {};
    const TensorInfo* const whole = stored.front();
    const std::span<const std::byte> bytes = store_->raw(*whole);
    if (bytes.empty()) return {};
    const std::size_t row = bytes.size() / static_cast<std::size_t>(whole->shape[0]);
    return bytes.subspan(static_cast<std::size_t>(view.first) * row, static_cast<std::size_t>(view.block) * row);
  }

  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = views_.find(tensor.name);
    if (found == views_.end()) return store_->readFloat32(tensor, out);
    const auto& [view, stored] = found->second;
    const std::uint64_t count = tensors_.find(tensor.name)->second.count();
    if (out.size() != count)
      return fail(ErrorCode::invalidArgument, fmt::format("Tensor {} has {} numbers, but there is place for {}.", tensor.name, count, out.size()));
    if (!view.vectors.empty()) {
      const std::size_t length = out.size() / stored.size();
      for (std::size_t row = 0; row < stored.size(); ++row) KVISTA_CHECK(store_->readFloat32(*stored[row], out.subspan(row * length, length)));
      return {};
    }
    const TensorInfo* const whole = stored.front();
    std::vector<float> all(whole->count());
    KVISTA_CHECK(store_->readFloat32(*whole, all));
    const auto width = static_cast<std::int64_t>(out.size()) / (view.block * view.blocks);
    const std::int64_t rows = static_cast<std::int64_t>(all.size()) / width;
    std::size_t place = 0;
    for (std::int64_t block = 0; block < view.blocks; ++block) {
      for (std::int64_t row = view.first + block * view.stride, last = row + view.block; row < last; ++row)
        for (std::int64_t column = 0; column < width; ++column)
          out[place++] = all[static_cast<std::size_t>(view.isTransposed ? column * rows + row : row * width + column)];
    }
    return {};
  }

 private:
  struct View {
    TensorView view;
    std::vector<const TensorInfo*> stored;  // the whole tensor, or the stacked vectors
  };

  [[nodiscard]] Result<const TensorInfo*> find(const std::string& stored, const std::string& view) const {
    const auto found = store_->tensors().find(stored);
    if (found != store_->tensors().end()) return &found->second;
    return fail(ErrorCode::corruptFile, fmt::format("The checkpoint has no tensor {}, which holds {}.", quoteForMessage(stored), view),
                "The download may be incomplete, or config.json may belong to another model.");
  }

  Result<void> addStacked(const std::string& name, const std::vector<std::string>& vectors) {
    View stacked{{.vectors = vectors}, {}};
    for (const std::string& vector : vectors) {
      KVISTA_ASSIGN(const TensorInfo* const stored, find(vector, name));
      stacked.stored.push_back(stored);
      if (stored->shape.size() != 1 || stored->shape != stacked.stored.front()->shape)
        return unfit(*stored, {.of = vector}, fmt::format("a vector of {}", fmt::join(stacked.stored.front()->shape, " x ")));
    }
    TensorInfo info = *stacked.stored.front();
    info.name = name;
    info.shape.insert(info.shape.begin(), static_cast<std::int64_t>(vectors.size()));
    return add(std::move(info), std::move(stacked));
  }

  Result<void> add(TensorInfo info, View view) {
    const std::string name = info.name;
    if (!tensors_.emplace(name, std::move(info)).second)
      return fail(ErrorCode::invalidArgument, fmt::format("There is a tensor {} already.", quoteForMessage(name)));
    views_.emplace(name, std::move(view));
    return {};
  }

  static tl::unexpected<Error> unfit(const TensorInfo& whole, const TensorView& view, const std::string& needed) {
    return fail(ErrorCode::corruptFile,
                fmt::format("{}: tensor {} has shape [{}]; the configuration asks for {}{}.", whole.file.string(), quoteForMessage(view.of),
                            fmt::join(whole.shape, ", "), needed, view.isTransposed ? " (of its transpose)" : ""),
                "Configuration and weights must come from the same checkpoint: download both again.");
  }

  std::shared_ptr<const TensorStore> store_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, View, std::less<>> views_;
};

}  // namespace

Result<std::shared_ptr<const TensorStore>> withViews(std::shared_ptr<const TensorStore> store, const std::map<std::string, TensorView>& views) {
  if (views.empty()) return store;
  auto viewed = std::make_shared<StoreWithViews>(std::move(store));
  for (const auto& [name, view] : views) KVISTA_CHECK(viewed->add(name, view));
  return viewed;
}

}  // namespace kvista
