/* Export calls over gRPC as the shard makes them: the method by its path, a peer, the answer. */
#ifndef WEFT_TESTS_AGENT_EXPORT_CALL_H
#define WEFT_TESTS_AGENT_EXPORT_CALL_H

#include "aggregate/directory_internal.h"
#include "opentelemetry/collector.pb-c.h"
#include "rig.h"

static inline const struct grpc_method *grpc_method_of(const char *service)
{
    for (size_t i = 0; i < pipeline_grpc_method_count; i++) {
        if (strstr(pipeline_grpc_methods[i].path, service) != NULL) {
            return &pipeline_grpc_methods[i];
        }
    }
    fail();
    return NULL;
}

/* Responses of all signals have one form. */
static inline void check_partial_success(
    const struct grpc_answer *answer, int64_t rejected_count, const char *why)
{
    Otlp__ExportServiceResponse *response =
        otlp__export_service_response__unpack(NULL, answer->reply_bytes, answer->reply);

    assert_non_null(response);
    assert_non_null(response->partial_success);
    assert_int_equal(response->partial_success->rejected_count, rejected_count);
    assert_non_null(strstr(response->partial_success->error_message, why));
    otlp__export_service_response__free_unpacked(response, NULL);
}

/*
 * A message some of whose records are rejected is answered with partial success; without room, during a drain
 * and cut by a byte it is refused as a whole. It is taken once.
 */
static inline void check_export_call(
    struct rig *rig, const char *service, struct slice message, int64_t rejected_count, const char *why)
{
    const struct grpc_method *method = grpc_method_of(service);
    struct peer peer = {.pipeline = &rig->pipeline, .sender = rig->sender};
    struct grpc_call call = {.method = method, .connection_user = &peer};
    struct grpc_answer answer = {.code = GRPC_OK};

    assert_false(method->streaming);
    assert_int_equal(method->message(&rig->pipeline, &call, message, &answer), 0);
    check_partial_success(&answer, rejected_count, why);
    answer = (struct grpc_answer){.code = GRPC_OK};
    rig->pipeline.directory->is_full = true;
    assert_int_equal(method->message(&rig->pipeline, &call, message, &answer), WERR_NOMEM);
    rig->pipeline.draining = true;
    assert_int_equal(method->message(&rig->pipeline, &call, message, &answer), WERR_CLOSED);
    rig->pipeline.draining = false;
    rig->pipeline.directory->is_full = false;
    struct slice cut = slice_sub(message, 0, message.length - 1);
    assert_true(method->message(&rig->pipeline, &call, cut, &answer) < 0);
    assert_true(answer.text[0] != '\0');
    assert_int_equal(answer.reply_bytes, 0);
}

#endif
