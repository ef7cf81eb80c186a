// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/io/tensor_views.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/io/json_file.h"

namespace kvista {
namespace {

class StoreWithViews final : public TensorStore {
 public:
  explicit StoreWithViews(std::shared_ptr<const TensorStore> store)
      : store_(std::move(store)), tensors_(store_->tensors()) {}

  Result<void> add(const std::string& name, const TensorView& view) {
    if (!view.vectors.empty()) return addStacked(name, view.vectors);
    KVISTA_ASSIGN(const TensorInfo* const stored, find(view.of, name));
    const TensorInfo& whole = *stored;
    const std::size_t axes = whole.shape.size();
    if (axes < 1 || axes > 3 || (axes == 1 && view.isTransposed)) return unfit(whole, view, "a matrix");
    const Rows rows = rowsOf(whole, view);
    // Numbers come from a description, whose sizes are bounded far below what these products could overflow.
    const std::int64_t end = view.first + (view.blocks - 1) * view.stride + view.block;
    const bool isOfOneMatrix = rows.ofMatrix == 0 || view.first / rows.ofMatrix == (end - 1) / rows.ofMatrix;
    if (view.first < 0 || view.block < 1 || view.blocks < 1 || (view.blocks > 1 && view.stride < view.block) ||
        end > rows.count || !isOfOneMatrix)
      return unfit(whole, view, fmt::format("{} rows or more", end));
    TensorInfo info = whole;
    info.name = name;
    info.shape.assign(1, view.block * view.blocks);
    if (rows.width > 0) info.shape.push_back(rows.width);
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
    const std::size_t row = bytes.size() / static_cast<std::size_t>(rowsOf(*whole, view).count);
    return bytes.subspan(static_cast<std::size_t>(view.first) * row, static_cast<std::size_t>(view.block) * row);
  }

  Result<void> readFloat32(const TensorInfo& tensor, std::span<float> out) const override {
    const auto found = views_.find(tensor.name);
    if (found == views_.end()) return store_->readFloat32(tensor, out);
    const auto& [view, stored] = found->second;
    const std::uint64_t count = tensors_.find(tensor.name)->second.count();
    if (out.size() != count)
      return fail(ErrorCode::invalidArgument,
                  fmt::format("Tensor {} has {} numbers, but there is place for {}.", tensor.name, count, out.size()));
    if (!view.vectors.empty()) {
      const std::size_t length = out.size() / stored.size();
      for (std::size_t row = 0; row < stored.size(); ++row)
        KVISTA_CHECK(store_->readFloat32(*stored[row], out.subspan(row * length, length)));
      return {};
    }
    const TensorInfo* const whole = stored.front();
    const Rows rows = rowsOf(*whole, view);
    const std::int64_t width = std::max<std::int64_t>(rows.width, 1);
    // Of a stack only the matrix that the view shows rows of.
    const std::int64_t counted = rows.ofMatrix > 0 ? rows.ofMatrix : rows.count;
    const std::int64_t matrix = rows.ofMatrix > 0 ? view.first / rows.ofMatrix : 0;
    std::vector<float> all(static_cast<std::size_t>(counted * width));
    KVISTA_CHECK(store_->readFloat32Part(*whole, static_cast<std::size_t>(matrix) * all.size(), all));
    // Some columns at a time: of a transposed matrix their rows lie far apart, and stay in the cache from one row to
    // the next.
    constexpr std::int64_t kColumns = 16;
    for (std::int64_t begin = 0; begin < width; begin += kColumns) {
      const std::int64_t end = std::min(width, begin + kColumns);
      std::int64_t place = 0;
      for (std::int64_t block = 0; block < view.blocks; ++block) {
        for (std::int64_t row = view.first - matrix * counted + block * view.stride, last = row + view.block;
             row < last; ++row, ++place)
          for (std::int64_t column = begin; column < end; ++column)
            out[static_cast<std::size_t>(place * width + column)] =
                all[static_cast<std::size_t>(view.isTransposed ? column * counted + row : row * width + column)];
      }
    }
    return {};
  }

 private:
  struct Rows {
    std::int64_t count = 0, width = 0;  // width 0: of a vector
    std::int64_t ofMatrix = 0;          // of each matrix of a stack; 0: it is none
  };

  static Rows rowsOf(const TensorInfo& whole, const TensorView& view) {
    const std::vector<std::int64_t>& shape = whole.shape;
    if (view.isVector || shape.size() == 1) return {static_cast<std::int64_t>(whole.count()), 0, 0};
    const std::size_t matrix = shape.size() - 2;
    const std::int64_t rows = shape[view.isTransposed ? matrix + 1 : matrix],
                       width = shape[view.isTransposed ? matrix : matrix + 1];
    return matrix == 0 ? Rows{rows, width, 0} : Rows{shape[0] * rows, width, rows};
  }

  struct View {
    TensorView view;
    std::vector<const TensorInfo*> stored;  // the whole tensor, or the stacked vectors
  };

  [[nodiscard]] Result<const TensorInfo*> find(const std::string& stored, const std::string& view) const {
    const auto found = store_->tensors().find(stored);
    if (found != store_->tensors().end()) return &found->second;
    return fail(ErrorCode::corruptFile,
                fmt::format("The checkpoint has no tensor {}, which holds {}.", quoteForMessage(stored), view),
                "The download may be incomplete, or config.json may belong to another model.");
  }

  Result<void> addStacked(const std::string& name, const std::vector<std::string>& vectors) {
    View stacked{{.vectors = vectors}, {}};
    for (const std::string& vector : vectors) {
      KVISTA_ASSIGN(const TensorInfo* const stored, find(vector, name));
      stacked.stored.push_back(stored);
      if (stored->shape.size() != 1 || stored->shape != stacked.stored.front()->shape)
        return unfit(*stored, {.of = vector},
                     fmt::format("a vector of {}", fmt::join(stacked.stored.front()->shape, " x ")));
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
                fmt::format("{}: tensor {} has shape [{}]; the configuration asks for {}{}.", whole.file.string(),
                            quoteForMessage(view.of), fmt::join(whole.shape, ", "), needed,
                            view.isTransposed ? " (of its transpose)" : ""),
                "Configuration and weights must come from the same checkpoint: download both again.");
  }

  std::shared_ptr<const TensorStore> store_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, View, std::less<>> views_;
};

}  // namespace

Result<std::shared_ptr<const TensorStore>> withViews(std::shared_ptr<const TensorStore> store,
                                                     const std::map<std::string, TensorView>& views) {
  if (views.empty()) return store;
  auto viewed = std::make_shared<StoreWithViews>(std::move(store));
  for (const auto& [name, view] : views) KVISTA_CHECK(viewed->add(name, view));
  return viewed;
}

}  // namespace kvista
