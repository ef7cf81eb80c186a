// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/studio/engine_jobs.h"

#include <algorithm>

#include "app/studio/memory_words.h"
#include "app/studio/read_answer.h"

namespace kvista {

void EngineJobs::report(std::int64_t id, const nlohmann::json& message,
                        const std::function<void(const ProgressRecord&)>& progress) {
  auto record = read<ProgressRecord>(message);
  if (!record) return;
  if (progress) progress(*record);
  list_.report(id, *std::move(record));
}

void EngineJobs::fail(std::int64_t id, const QString& method, Error error, std::function<void()> again) {
  const bool died = engine_.state() == EngineClient::State::lost || engine_.state() == EngineClient::State::failed;
  if (died && method == QStringLiteral("calibrate")) {
    error.hint += ' ';
    error.hint += tr("Continue goes on from the sums that were kept last.").toStdString();
  }
  list_.fail(id, error, died ? std::move(again) : nullptr);
}

void EngineJobs::dropPreview(const QString& lane) {
  engine_.dropPreview(lane);
  if (const auto found = previews_.constFind(lane); found != previews_.constEnd()) {
    list_.drop(*found);
    previews_.erase(found);
  }
}

std::int64_t EngineJobs::whenItFits(const nlohmann::json& question, const QString& name,
                                    std::function<void(const QString& memory)> begin, std::function<void()> undone) {
  const QString method = QString::fromStdString(question.at("method").get<std::string>());
  auto id = std::make_shared<std::int64_t>(0);
  *id = engine_.ask<std::vector<MemoryForecast>>(
      QStringLiteral("forecastMemory"), question, readList<MemoryForecast>, this,
      [this, id, method, begin = std::move(begin),
       undone = std::move(undone)](const Result<std::vector<MemoryForecast>>& forecast) {
        const MemoryWords words = memoryWords(forecast);
        const QString memory = QString(words.text).replace(QLatin1Char('\n'), QStringLiteral("; "));
        if (forecast ? words.fits : forecast.error().code != ErrorCode::cancelled) {
          list_.drop(*id);
          return begin(forecast ? memory : QString());
        }
        if (undone) undone();
        list_.fail(*id, forecast ? Error{ErrorCode::outOfMemory,
                                         tr("It was not started: it would take %1.").arg(memory).toStdString(),
                                         {},
                                         memoryAdvice(method).toStdString()}
                                 : forecast.error());
      });
  list_.begin(*id, name);
  return *id;
}

void EngineJobs::goOn(std::int64_t id) {
  const auto found = std::ranges::find(list_.jobs(), id, &Job::id);
  if (found == list_.jobs().end() || !found->again) return;
  const std::function<void()> again = found->again;
  list_.forget(id);
  if (engine_.state() == EngineClient::State::failed) engine_.start(engine_.command());
  again();
}

}  // namespace kvista
