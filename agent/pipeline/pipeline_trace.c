/*
 * Into the ring of traces: every span that is not refused, and access-log entries that belong to a trace.
 * When spans were goes to the trace thread as well. Runs on the shard's loop.
 */
#include <string.h>

#include "pipeline/pipeline.h"

static bool is_given(const uint8_t *id, size_t id_bytes)
{
    static const uint8_t none[TRACE_ID_BYTES] = {0};

    return memcmp(id, none, id_bytes) != 0;
}

/* No shard has a ring where the configuration leaves it too little. */
static bool refuse_without_ring(struct pipeline *pipeline)
{
    LEDGER_ADD(pipeline->cells, METRIC_TRACE_NOT_STORED_NO_RING, 1);
    return false;
}

bool pipeline_store_request_span(
    struct pipeline *pipeline, const struct span *span, const struct request *request)
{
    struct ring_note note = {
        .service = request->reporter == REPORTER_SOURCE ? request->source : request->destination,
        .route = request->route,
        .response_flags = request->response_flags,
        .response_code = request->response_code,
        .outcome = request->outcome,
        .role = RING_REQUEST,
    };

    pipeline_time_request(&pipeline->timing, span, request);
    return pipeline->ring != NULL ? ring_add_span(pipeline->ring, span, &note)
                                  : refuse_without_ring(pipeline);
}

bool pipeline_store_attempt_span(
    struct pipeline *pipeline, const struct span *span, const struct attempt *attempt)
{
    struct ring_note note = {
        .service = attempt->reporter == REPORTER_SOURCE ? attempt->source : attempt->destination,
        .route_text = span->name,
        .outcome = OUTCOME_COUNT,
        .role = RING_ATTEMPT,
    };

    pipeline_time_attempt(&pipeline->timing, span, attempt);
    return pipeline->ring != NULL ? ring_add_span(pipeline->ring, span, &note)
                                  : refuse_without_ring(pipeline);
}

bool pipeline_store_other_span(struct pipeline *pipeline, const struct span *span, uint32_t service)
{
    struct ring_note note = {
        .service = service,
        .route_text = span->name,
        .outcome = OUTCOME_COUNT,
        .role = RING_NEITHER,
    };

    pipeline_time_other(&pipeline->timing, span);
    return pipeline->ring != NULL ? ring_add_span(pipeline->ring, span, &note)
                                  : refuse_without_ring(pipeline);
}

bool pipeline_store_native(struct pipeline *pipeline, const struct native_dictionary *dictionary,
    const struct request *request, const uint8_t *parent_id, uint64_t sampling_threshold)
{
    pipeline_time_native(&pipeline->timing, request, parent_id, dictionary->instance);
    return pipeline->ring != NULL
               ? ring_add_request(pipeline->ring, request, parent_id, sampling_threshold, false)
               : refuse_without_ring(pipeline);
}

bool pipeline_store_log(struct pipeline *pipeline, const struct request *request)
{
    /* an exemplar has to be found by its span's id */
    return pipeline->ring != NULL && is_given(request->trace_id, TRACE_ID_BYTES) &&
           ring_add_request(pipeline->ring, request, NULL, 0, false) &&
           is_given(request->span_id, SPAN_ID_BYTES);
}
