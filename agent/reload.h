/*
 * Reloading the configuration: SIGHUP reads the file anew, checks it, and tells every thread in a letter.
 *
 *   SIGHUP ─► config_reload ─error─► the log, the metrics; all goes on as it was
 *                 └─► letters to shards, aggregator, traces, exporter ─► all acknowledged ─► the one before
 * is freed
 *
 * A signal that comes meanwhile is remembered, and the file read once more. Runs on main's loop.
 */
#ifndef WEFT_AGENT_RELOAD_H
#define WEFT_AGENT_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/changes.h"
#include "config/config.h"
#include "config_letter.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/metrics.h"

enum { RELOAD_PARTIES_COUNT_MAX = CONFIG_SHARD_COUNT_MAX + 3 };

/* A thread that takes letters. */
struct reload_party {
    void *party;
    void (*post)(void *party, struct config_letter *letter);
};

struct reload_settings {
    const struct config_source *source; /* NULL: there is nothing to read anew */
    const struct config *started_with;  /* outlives all reloads */
    const struct clock *clock;
    struct log *log;
    struct metric_cells *cells;
    struct mailbox *mailbox;                                /* main's */
    void (*apply)(void *user, const struct config *config); /* what main itself takes over */
    void (*ended)(
        void *user); /* everybody has moved on, or an error left all as it was; none is wanted now */
    void *user;
};

struct reload {
    struct reload_settings settings;
    const struct config *current; /* what is in force */
    struct config *owned;         /* the same, when it is not what the agent was started with */
    struct config *leaving;       /* freed when all have acknowledged */
    struct config_changes changes;
    struct config_error error; /* of the last attempt; empty when it was fine */
    uint64_t success_unix_ns;
    uint64_t count; /* of successful reloads */
    uint64_t failed_count;
    struct shared_bytes *text;
    struct reload_party parties[RELOAD_PARTIES_COUNT_MAX];
    struct config_letter letters[RELOAD_PARTIES_COUNT_MAX];
    size_t party_count;
    size_t waiting_count; /* letters that are out */
    bool is_wanted;       /* once more when they are back */
    bool is_closed;
};

/* 0 or WERR_NOMEM. */
int reload_init(struct reload *reload, const struct reload_settings *settings);

/* Before any thread starts. */
void reload_add(struct reload *reload, void *party, void (*post)(void *party, struct config_letter *letter));

/* On main's loop: reads the file and tells everybody, now or when the reload under way is over. */
void reload_run(struct reload *reload);

/* No further reload begins: the agent is stopping. */
void reload_close(struct reload *reload);

/* After all threads have ended. A zeroed one is fine. */
void reload_deinit(struct reload *reload);

#endif
