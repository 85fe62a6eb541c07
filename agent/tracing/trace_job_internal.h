/* What trace_job.c and trace_job_peers.c share; for them alone. */
#ifndef WEFT_AGENT_TRACE_JOB_INTERNAL_H
#define WEFT_AGENT_TRACE_JOB_INTERNAL_H

#include <stdarg.h>

#include "tracing/trace_job.h"

enum { MATCHES_COUNT_FIRST = 16 };

/* In the order in which they may come; those before JOB_WRITING wait for shards and peers. */
enum job_step { JOB_SEARCHING, JOB_FETCHING, JOB_NAMING, JOB_WRITING, JOB_ANSWERED, JOB_STEP_COUNT };

struct job_task {
    struct trace_task task;
    struct job_task *next;
    enum job_step step; /* that it was asked in */
};

/* What somebody has of a trace. */
struct job_part {
    struct job_part *next;
    struct shared_bytes *bytes;
    bool is_pinned; /* held for an exemplar anyhow: it takes no room of the desk's */
};

struct trace_job {
    LIST_ENTRY(trace_job) link;
    struct trace_desk *desk;
    struct trace_ask *ask; /* NULL: it was answered */
    struct trace_query query;
    enum job_step step;
    bool is_starting;
    bool is_cut;   /* the answer lacks something */
    bool is_short; /* of memory for parts */
    uint64_t deadline_ns;
    struct job_task *tasks; /* with the shards */
    size_t tasks_out;
    size_t tasks_awaited; /* of this step */
    size_t peers_awaited; /* answers */
    size_t peer_waits[CONFIG_PEER_COUNT_MAX];
    atomic_bool cancelled[JOB_STEP_COUNT];
    struct trace_match *matches;
    size_t match_count;
    uint8_t (*ids)[TRACE_MODEL_ID_BYTES];
    size_t id_count;
    struct job_part **parts; /* one list an id */
    struct trace_names names;
    char warnings[TRACE_WARNINGS_COUNT_MAX][TRACE_WARNING_BYTES];
    size_t warning_count;
    /* what is being written */
    struct trace_answer answer;
    struct buffer out;
    size_t next_id;
    size_t shown_count;
    uint8_t missing[TRACE_QUERY_IDS_COUNT_MAX][TRACE_MODEL_ID_BYTES];
    size_t missing_count;
};

/* Something that the answer lacks. */
void trace_job_warn(struct trace_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

void trace_job_add_match(struct trace_job *job, const struct trace_match *match);

/* Takes the reference over. */
void trace_job_add_part(struct trace_job *job, size_t id_index, struct shared_bytes *bytes);

/* On with a job when nobody is waited for any more. */
void trace_job_check(struct trace_job *job);

/* Asks all peers what the step is about, unless the query is without them: trace_job_peers.c. */
void trace_job_ask_peers(struct trace_job *job);

/* Forgets the peers that have not answered, and says so. */
void trace_job_give_up_peers(struct trace_job *job, unsigned long long limit_ms);

#endif
