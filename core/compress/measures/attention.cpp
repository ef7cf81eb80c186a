// SPDX-FileCopyrightText: 2026 The KVista authors
// SPDX-License-Identifier: Apache-2.0
#include "core/compress/attention_metric.h"
#include "core/compress/measures/measures.h"

namespace kvista {

Measure attentionMeasure() {
  return {.name = "attention",
          .summary = "Cosine of the heads' attention maps, the mean of a group's queries, at the sampled tokens",
          .formula = "<A_i, A_j> / (|A_i| |A_j|), A_i the probabilities of the keys of head i",
          .unit = "no unit, 0 to 1; the same for keys and values",
          .source = "help page Methods, section 3",
          .similarity = [](const MeasureRequest& request) -> Result<at::Tensor> {
            const at::Tensor& maps = request.statistics.layers[static_cast<std::size_t>(request.layer)].attentionMaps;
            if (!maps.defined())
              return tl::unexpected(
                  noQueries(request.decoder, request.layer, "attention maps", "the measure attention needs"));
            return cosines(maps);
          }};
}

}  // namespace kvista
