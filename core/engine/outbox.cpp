// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/engine/outbox.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "core/protocol/frame.h"

namespace kvista {

void Outbox::send(const nlohmann::json& message) {
  std::vector<std::uint8_t> frame = encodeFrame(message);
  if (frame.size() > kMaxFrameBytes)
    frame = encodeFrame(
        errorMessage(message["id"].get<std::int64_t>(),
                     {ErrorCode::outOfMemory,
                      fmt::format("The answer has {} bytes; a message may have {}.", frame.size(), kMaxFrameBytes), "",
                      "Ask for fewer layers at a time."}));
  const std::lock_guard lock(mutex_);
  for (std::size_t done = 0; done < frame.size() && !closed_;) {
    const ssize_t written = write(descriptor_, frame.data() + done, frame.size() - done);
    if (written > 0)
      done += static_cast<std::size_t>(written);
    else if (errno != EINTR)
      closed_ = true;
  }
}

}  // namespace kvista
