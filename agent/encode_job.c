/* Encodings in slices; see encode_job.h. */
#include "encode_job.h"

#include <stdlib.h>

#include "core/error.h"

struct encode_job *encode_job_new(const struct encode_job_request *request)
{
    struct encode_job *job = calloc(1, sizeof *job);

    if (job == NULL) {
        return NULL;
    }
    job->encoder = request->encoder;
    job->snapshot = request->snapshot;
    job->options = request->options;
    job->piece_bytes = request->piece_bytes;
    job->piece = request->piece;
    job->end = request->end;
    job->user = request->user;
    buffer_init(&job->plain, request->bytes_max);
    buffer_init(&job->done, request->bytes_max);
    job->compressor = compressor_new(request->compression);
    if (job->compressor == NULL || job->encoder->open(&job->options, &job->plain, &job->state) < 0) {
        encode_job_free(job);
        return NULL;
    }
    return job;
}

void encode_job_free(struct encode_job *job)
{
    if (job == NULL) {
        return;
    }
    if (job->state != NULL) {
        job->encoder->close(job->state);
    }
    compressor_free(job->compressor);
    buffer_deinit(&job->plain);
    buffer_deinit(&job->done);
    free(job);
}

/* Hands over what was encoded since the piece before. */
static int cut_piece(struct encode_job *job)
{
    uint64_t point_count = job->encoder->point_count(job->state) - job->taken_points;

    if (job->plain.length == 0) {
        return 0;
    }
    struct shared_bytes *bytes = shared_bytes_take(&job->plain);
    if (bytes == NULL) {
        return WERR_NOMEM;
    }
    job->taken_points += point_count;
    job->piece(job->user, bytes, point_count);
    return 0;
}

/* A scrape's bytes go through the compressor slice by slice, so that no turn has all of them to compress. */
static int take_slice(struct encode_job *job, bool last)
{
    struct slice slice = slice_of(job->plain.data, job->plain.length);
    int error = compressor_write(job->compressor, slice, &job->done);

    job->plain.length = 0;
    if (error == 0 && last) {
        error = compressor_finish(job->compressor, &job->done);
    }
    return error;
}

static void end(struct encode_job *job, int error)
{
    struct shared_bytes *bytes = NULL;

    if (error == 0 && job->piece_bytes == 0) {
        bytes = shared_bytes_take(&job->done);
        error = bytes != NULL ? 0 : WERR_NOMEM;
    }
    job->end(job->user, error, bytes);
}

bool encode_job_step(struct encode_job *job, size_t series_count)
{
    int more = job->encoder->step(job->state, job->snapshot, series_count);
    int error = more < 0 ? more : job->plain.error;

    if (error == 0 && job->piece_bytes == 0) {
        error = take_slice(job, more == 0);
    } else if (error == 0 && (more == 0 || job->plain.length >= job->piece_bytes)) {
        error = cut_piece(job);
    }
    if (error < 0 || more == 0) {
        end(job, error);
        return true;
    }
    return false;
}
