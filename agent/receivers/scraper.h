/*
 * The targets that one shard scrapes: each is fetched by HTTP (over TCP or a Unix socket) at its interval,
 * its text read and its points recorded under the identity that the configuration gives it. Runs on the
 * shard's loop.
 *
 *   timer ─► curl (http_loop) ─► body, at most limits.scrape_body_bytes_max ─► pipeline_scrape
 *
 * A target that is away is counted (weft_scrape_attempts_total, weft_scrape_up); its series are hidden from
 * /metrics once nothing was heard of them for three intervals.
 */
#ifndef WEFT_AGENT_SCRAPER_H
#define WEFT_AGENT_SCRAPER_H

#include <uv.h>

#include "config/config.h"
#include "core/budget.h"
#include "core/log.h"
#include "core/metrics.h"
#include "pipeline/pipeline.h"

struct scraper;

/* Everything is borrowed and outlives the scraper. */
struct scraper_config {
    const struct config_scrapes *targets;
    size_t shard_index; /* takes every shard_count-th target, from this one on */
    size_t shard_count;
    const struct limits *limits;
    uv_loop_t *loop;
    struct pipeline *pipeline;
    struct budget *assembly;          /* bodies are drawn from it */
    struct metric_registry *registry; /* each target gets cells of its own */
    struct log *log;
};

/* Before the loop's thread is started. 0 with *ret_scraper, NULL when the shard has no target; WERR_NOMEM. */
int scraper_new(const struct scraper_config *config, struct scraper **ret_scraper);

/* On the loop: ends what is under way; handles end in the loop's next turns. NULL and twice is fine. */
void scraper_close(struct scraper *scraper);

/* After the loop has run its close callbacks, before the pipeline ends. NULL is fine. */
void scraper_free(struct scraper *scraper);

#endif
