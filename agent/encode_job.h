/*
 * One encoding of the aggregator's state, in slices: a scrape's exposition (compressed as it grows) or one
 * export of metrics to an OTLP destination (handed over in pieces). Runs on the aggregator's thread.
 */
#ifndef WEFT_AGENT_ENCODE_JOB_H
#define WEFT_AGENT_ENCODE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/compress.h"
#include "weft/exporter.h"

struct encode_job {
    struct encode_job *next;
    const struct encoder_type *encoder;
    struct snapshot *snapshot; /* borrowed */
    struct encoder_options options;
    void *state;
    struct buffer plain; /* what the encoder wrote and nobody took yet */
    struct buffer done;  /* scrape: the answer so far */
    struct compressor *compressor;
    size_t piece_bytes; /* export: a piece is handed over when it is this long; 0: a scrape, one answer */
    uint64_t taken_points;
    void (*piece)(void *user, struct shared_bytes *bytes, uint64_t point_count); /* owns the reference */
    void (*end)(
        void *user, int error, struct shared_bytes *bytes); /* bytes: a scrape's answer, one reference */
    void *user;
};

/* What an encoding is for; copied. */
struct encode_job_request {
    const struct encoder_type *encoder;
    struct snapshot *snapshot; /* of what; outlives the job */
    struct encoder_options options;
    enum compression compression;
    size_t bytes_max;
    size_t piece_bytes;
    void (*piece)(void *user, struct shared_bytes *bytes, uint64_t point_count);
    void (*end)(void *user, int error, struct shared_bytes *bytes);
    void *user;
};

/* NULL when out of memory. */
struct encode_job *encode_job_new(const struct encode_job_request *request);
void encode_job_free(struct encode_job *job); /* without calling `end` */

/* Encodes about series_count series. True when it has ended: `end` was called and the job is to be freed. */
bool encode_job_step(struct encode_job *job, size_t series_count);

#endif
