// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <nlohmann/json_fwd.hpp>

namespace kvista {

/// Writes whole messages, whoever sends them.
class Outbox {
 public:
  explicit Outbox(int descriptor) : descriptor_(descriptor) {}
  void send(const nlohmann::json& message);
  /// True once the other side reads no more.
  [[nodiscard]] bool isClosed() const { return closed_; }

 private:
  int descriptor_;
  std::mutex mutex_;
  std::atomic<bool> closed_ = false;
};

}  // namespace kvista
