// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/launch.h"

namespace c10d {
class Store;
}

namespace kvista {

/// Who is there. Every process says a few times a second at the meeting point (a c10d TCPStore) that it lives, and
/// hears the others: what a broken connection cannot say, which of them it was, and a connection that nobody uses not
/// at all.
class Membership {
 public:
  /// Returns once all are there. Errors (device): the port is taken, the meeting point cannot be reached or is none,
  /// another has come as this rank, or some did not come within `patience`; the sentence says which.
  static Result<std::unique_ptr<Membership>> join(const Launch& launch, std::chrono::seconds patience);

  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  ~Membership();

  /// Fails, naming the rank, where one of the others has ended or has not been heard of for 10 seconds.
  [[nodiscard]] Result<void> check() const;
  /// After a connection broke: waits until it is known whose it was. Always fails.
  [[nodiscard]] Result<void> explain(const std::string& detail) const;
  /// Says that this process is done, and waits a moment for the others to be, so that none closes what another still
  /// reads.
  void leave();

  [[nodiscard]] const c10::intrusive_ptr<c10d::Store>& store() const { return store_; }

 private:
  struct Heard;
  Membership(Launch launch, c10::intrusive_ptr<c10d::Store> store);
  [[nodiscard]] Result<void> awaitAll(std::chrono::seconds patience);
  [[nodiscard]] std::string keyOf(int rank) const;

  Launch launch_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::shared_ptr<Heard> heard_;  ///< With the thread that speaks and listens.
};

}  // namespace kvista
