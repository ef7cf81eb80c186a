// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/task.h"
#include "core/checkpoint/export_form.h"
#include "core/io/atomic_file.h"
#include "core/io/checkpoint.h"
#include "core/io/safetensors_writer.h"
#include "core/model/description.h"
#include "core/policy/policy.h"

namespace kvista {

/// Most bytes of a weight file, as transformers has it.
inline constexpr std::uint64_t kShardBytes = 5'000'000'000;

/// In what the weights lie.
enum class Container {
  safetensors,  ///< With Hugging Face's configuration and tokenizer beside them.
  gguf,         ///< One file with everything in it, for llama.cpp.
};

/// Where an export goes and what it is, its plan aside.
struct ExportPlace {
  std::string form = "latent";
  Container container = Container::safetensors;
  std::optional<DataType> dtype = std::nullopt;  ///< f32, bf16 or f16 for computed tensors; absent: f32.
  /// Of the same three: what tensors that are carried over become; absent: they stay.
  std::optional<DataType> weightType = std::nullopt;
  std::uint64_t shardBytes = kShardBytes;  ///< A larger tensor gets a file of its own.
  std::filesystem::path target = {};
  bool overwrite = false;  ///< Replaces an earlier export (never another folder).
  /// How the model code keeps its cache small; of forms that record one.
  std::optional<PolicyRequest> policy = std::nullopt;
};

/// An export whose plan may still be made: a thread writes what its form carries over whatever the plan, which is most
/// of a model, while calibration and decomposition leave the disk idle. Models that one file holds are written at the
/// end, GGUF files too.
class BegunExport {
 public:
  /// Makes a folder beside the target. `checkpoint` must outlive what is answered. Errors: invalidArgument (unknown
  /// form, a type that weights cannot have, a target that is the source or would replace something else), io.
  static Result<std::unique_ptr<BegunExport>> begin(const Checkpoint& checkpoint, const DecoderDescription& description,
                                                    ExportPlace place);
  BegunExport(const BegunExport&) = delete;
  BegunExport& operator=(const BegunExport&) = delete;
  ~BegunExport();  ///< Stops writing; without `commit` nothing is left.

  [[nodiscard]] const ExportPlace& place() const { return place_; }
  [[nodiscard]] const ExportForm& form() const { return form_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

  /// Writes the other tensors behind what is carried over. Answers the names of all files. Once.
  Result<std::vector<std::string>> writeRest(std::vector<TensorToWrite> rest, const Task& task);
  /// Instead, of a GGUF file, of which nothing is written yet: all tensors in the types that they are written in,
  /// `rest` last.
  std::vector<TensorToWrite> allTensors(std::vector<TensorToWrite> rest);
  /// The folder gets its name.
  Result<void> commit() { return folder_.commit(); }

 private:
  BegunExport(const ExportForm& form, ExportPlace place, AtomicDirectory folder, std::vector<TensorToWrite> carried,
              std::uint64_t carriedBytes);

  const ExportForm& form_;
  ExportPlace place_;
  AtomicDirectory folder_;
  ShardedSafetensorsWriter writer_;
  std::vector<TensorToWrite> carried_;  ///< Those that are written with the rest.
  std::uint64_t carriedBytes_;
  std::atomic<std::uint64_t> written_ = 0;
  std::stop_source stop_;
  std::future<Result<void>> writing_;
};

/// Of the bytes that tensors take in a file. Errors: invalidArgument (more than 64 bits count).
Result<std::uint64_t> bytesOf(const std::vector<TensorToWrite>& tensors);

}  // namespace kvista
