/*
 * From a scraped exposition to recorded points: read, named, labelled, counted. Runs on the shard that
 * scrapes.
 */
#ifndef WEFT_AGENT_PIPELINE_SCRAPE_H
#define WEFT_AGENT_PIPELINE_SCRAPE_H

#include "decode/prom_text.h"
#include "pipeline/pipeline.h"

/* Whose exposition it is. */
struct scrape_source {
    struct sender sender;            /* bound to the pipeline's context */
    const struct prom_label *labels; /* added to each point that has none of that name; sorted by name */
    size_t label_count;
    uint16_t stale_after_s;
};

/*
 * Records what the body tells: counters under the name of their samples, histograms as they are, a summary as
 * gauges NAME{quantile="…"} and counters NAME_sum and NAME_count. 0 with *ret_result; WERR_NOMEM: the arena,
 * which is reset first, or the memory of values is full, and nothing was taken.
 */
int pipeline_scrape(struct pipeline *pipeline, const struct scrape_source *source, struct slice body,
    enum prom_format format, struct arena *arena, struct prom_result *ret_result);

#endif
