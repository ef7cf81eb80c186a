// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// What leaves the window: checkpoints and reports.
#include <QFileInfo>
#include <QLocale>

#include "app/studio/background.h"
#include "app/studio/read_answer.h"
#include "app/studio/request_params.h"
#include "app/studio/workflow.h"
#include "core/io/atomic_file.h"
#include "core/io/project.h"

namespace kvista {
namespace {

using nlohmann::json;

Result<std::string> readPage(const json& answer) {
  const json& page = field(answer, "html");
  if (!page.is_string()) return fail(ErrorCode::internal, "The engine's answer holds no report.");
  return page.get<std::string>();
}

}  // namespace

json Workflow::exportParams(const ExportWish& wish) const {
  json params = planParams(document_);
  params["form"] = wish.form.toStdString();
  params["container"] = wish.container.toStdString();
  params["dtype"] = wish.dtype.toStdString();
  if (!wish.weightDtype.isEmpty()) params["weightDtype"] = wish.weightDtype.toStdString();
  if (wish.shardBytes > 0) params["shardBytes"] = wish.shardBytes;
  params["target"] = wish.target.toStdString();
  params["overwrite"] = wish.overwrite;
  if (!wish.policy.isEmpty()) params["policy"] = wish.policy.toStdString();
  return params;
}

void Workflow::examinePath(const QString& path, QObject* context, std::function<void(Result<PathRecord>)> done) {
  engine_.preview<PathRecord>("examinePath", "examinePath", {{"path", path.toStdString()}}, read<PathRecord>, context,
                              std::move(done));
}

void Workflow::previewExport(const ExportWish& wish, QObject* context,
                             std::function<void(Result<ExportPreview>)> done) {
  work_.preview<ExportPreview>(tr("Look at the export"), "previewExport", exportParams(wish), read<ExportPreview>,
                               context, std::move(done));
}

void Workflow::exportPlan(const ExportWish& wish) {
  const QString name = tr("Export to %1").arg(QFileInfo(wish.target).fileName());
  work_.whenItFits(memoryParams({"export"}), name, [this, name, params = exportParams(wish)](const QString& memory) {
    const auto done = [this](ExportRecord record) {
      Q_EMIT exported(record);
      const auto files = static_cast<int>(record.files.size());
      return record.verified ? tr("%Ln file(s), verified", nullptr, files) : tr("%Ln file(s)", nullptr, files);
    };
    work_.start<ExportRecord>(name, "export", params, read<ExportRecord>, done, {.memory = memory});
  });
}

void Workflow::writeReport(const QString& file) {
  // The engine's machine may have no file of the project, and its disk is not where the report is wanted.
  const std::filesystem::path name = document_.file().empty() ? document_.modelPath() : document_.file();
  const json params = {{"project", name.string()}, {"content", toJson(document_.project(), {})}};
  work_.start<std::string>(tr("Report"), "report", params, readPage, [this, file](std::string page) {
    const QString size = QLocale().formattedDataSize(static_cast<qint64>(page.size()), 1, QLocale::DataSizeSIFormat);
    inBackground(
        diskThread(), this, [file, page = std::move(page)] { return writeFileAtomically(file.toStdString(), page); },
        [this, file](const Result<void>& written) {
          if (!written) return Q_EMIT failed(file, written.error());
          Q_EMIT reported(file);
        });
    return size;
  });
}

}  // namespace kvista
