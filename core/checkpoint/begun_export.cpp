// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/begun_export.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

#include "core/checkpoint/export_target.h"
#include "core/checkpoint/tensor_source.h"

namespace kvista {
namespace {

constexpr std::uint64_t kRoomForOtherFiles = std::uint64_t{64} << 20;

}  // namespace

Result<std::uint64_t> bytesOf(const std::vector<TensorToWrite>& tensors) {
  std::uint64_t total = 0;
  for (const TensorToWrite& tensor : tensors) {
    std::uint64_t count = 1;
    for (const std::int64_t length : tensor.shape) count *= static_cast<std::uint64_t>(length);
    KVISTA_ASSIGN(const std::uint64_t bytes, byteCount(tensor.type, count));
    total += bytes;
  }
  return total;
}

Result<std::unique_ptr<BegunExport>> BegunExport::begin(const Checkpoint& checkpoint,
                                                        const DecoderDescription& description, ExportPlace place) {
  KVISTA_ASSIGN(const ExportForm* form, findExportForm(place.form));
  KVISTA_CHECK(checkWeightType(place.dtype));
  KVISTA_CHECK(checkWeightType(place.weightType));
  KVISTA_CHECK(checkTarget(place.target, checkpoint, place.overwrite));
  KVISTA_ASSIGN(std::vector<TensorToWrite> carried,
                form->carried(checkpoint, description, place.dtype.value_or(DataType::f32)));
  if (place.weightType) carried = withType(std::move(carried), *place.weightType);
  KVISTA_ASSIGN(const std::uint64_t bytes, bytesOf(carried));
  KVISTA_ASSIGN(AtomicDirectory folder,
                AtomicDirectory::create(place.target, bytes + kRoomForOtherFiles, place.overwrite));
  return std::unique_ptr<BegunExport>(
      new BegunExport(*form, std::move(place), std::move(folder), std::move(carried), bytes));
}

BegunExport::BegunExport(const ExportForm& form, ExportPlace place, AtomicDirectory folder,
                         std::vector<TensorToWrite> carried, std::uint64_t carriedBytes)
    : form_(form),
      place_(std::move(place)),
      folder_(std::move(folder)),
      writer_(folder_.path(), place_.shardBytes),
      carried_(std::move(carried)),
      carriedBytes_(carriedBytes) {
  if (carriedBytes_ <= place_.shardBytes || place_.container == Container::gguf)
    return;  // perhaps one file holds everything
  try {
    writing_ = std::async(std::launch::async, [this] {
      return writer_.add(std::exchange(carried_, {}),
                         {stop_.get_token(), [this](const ProgressReport& report) { written_ = report.done; }});
    });
  } catch (const std::system_error&) {
    // No thread can be had: the rest takes along what is carried over.
  }
}

BegunExport::~BegunExport() { stop_.request_stop(); }

std::vector<TensorToWrite> BegunExport::allTensors(std::vector<TensorToWrite> rest) {
  if (place_.weightType) rest = withType(std::move(rest), *place_.weightType);
  rest.insert(rest.begin(), std::move_iterator(carried_.begin()), std::move_iterator(carried_.end()));
  carried_.clear();
  return rest;
}

Result<std::vector<std::string>> BegunExport::writeRest(std::vector<TensorToWrite> rest, const Task& task) {
  if (place_.weightType) rest = withType(std::move(rest), *place_.weightType);
  KVISTA_ASSIGN(std::uint64_t total, bytesOf(rest));
  total += carriedBytes_;
  if (writing_.valid()) {
    while (writing_.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
      KVISTA_CHECK(task.checkStop());
      task.progress("write", written_, total, "bytes");
    }
    KVISTA_CHECK(writing_.get());
  }
  rest.insert(rest.begin(), std::move_iterator(carried_.begin()), std::move_iterator(carried_.end()));
  const std::uint64_t before = carried_.empty() ? carriedBytes_ : 0;
  const Task after = {task.stop, [&](const ProgressReport& report) {
                        task.progress(report.stage, before + report.done, total, report.unit);
                      }};
  KVISTA_CHECK(writer_.add(std::move(rest), after));
  return writer_.commit();
}

}  // namespace kvista
