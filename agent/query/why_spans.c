/* See why_spans.h. */
#include "query/why_spans.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "decode/attribute.h"
#include "query/trace_jaeger.h"
#include "query/trace_model.h"
#include "query/trace_tags.h"

enum { TEXT_BYTES_MAX = 256 };

/* ---- which attributes ---- */

static const char *const span_keys[] = {
#define SPAN_KEY(id, key) key,
    WEFT_SPAN_ATTRIBUTES(SPAN_KEY)
#undef SPAN_KEY
        "span.kind",
    "service.instance.id",
};

static const struct {
    const char *key;
    uint8_t id;
} resource_keys[] = {
#define RESOURCE_KEY(id, key) {key, RESOURCE_ATTRIBUTE_##id},
    WEFT_RESOURCE_ATTRIBUTES(RESOURCE_KEY)
#undef RESOURCE_KEY
};

static const char *const prefixes[] = {"otel.", "weft.", "telemetry.", "process.", "thread.", "w3c."};

/* A node is no cause of its own: it is worth telling. */
static bool is_read_by_agent(struct slice key)
{
    for (size_t i = 0; i < sizeof span_keys / sizeof span_keys[0]; i++) {
        if (slice_equal(key, slice_of_string(span_keys[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof resource_keys / sizeof resource_keys[0]; i++) {
        if (slice_equal(key, slice_of_string(resource_keys[i].key))) {
            return resource_keys[i].id != RESOURCE_ATTRIBUTE_NODE;
        }
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (slice_has_prefix(key, slice_of_string(prefixes[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_category(const struct trace_value *value)
{
    return (value->type == TRACE_VALUE_TEXT && value->bytes.length <= TEXT_BYTES_MAX) ||
           value->type == TRACE_VALUE_BOOLEAN || value->type == TRACE_VALUE_INTEGER;
}

/* ---- a sample ---- */

struct telling {
    struct why *why;
    bool is_slow;
    uint32_t sample;
    struct buffer text; /* scratch */
};

static bool tell(void *user, struct slice key, const struct trace_value *value)
{
    struct telling *telling = user;

    if (key.length > 0 && key.length <= TEXT_BYTES_MAX && is_category(value) && !is_read_by_agent(key)) {
        telling->text.length = 0;
        trace_value_text(&telling->text, value);
        why_add_attribute(telling->why, telling->is_slow, telling->sample, key,
            slice_of(telling->text.data, telling->text.length));
    }
    return telling->text.error < 0;
}

/* The spans that are looked at get 1; how many they are. */
static size_t mark_spans(const struct trace_model *model, struct slice service, uint8_t *marks)
{
    size_t count = 0;

    for (size_t i = 0; i < model->span_count; i++) {
        if (!trace_is_service(&model->groups[model->spans[i].group], service)) {
            continue;
        }
        for (int32_t at = (int32_t)i; at >= 0 && marks[at] == 0; at = model->spans[at].parent) {
            marks[at] = 1;
            count++;
        }
    }
    return count;
}

/* Resources of the service's own spans alone: what others run on is not told by their requests. */
static void tell_model(struct telling *telling, const struct trace_model *model, struct slice service)
{
    uint8_t *marks = calloc(model->span_count + 1, 1);
    bool has_own = marks != NULL && mark_spans(model, service, marks) > 0;

    for (size_t i = 0; i < model->span_count; i++) {
        const struct trace_span *span = &model->spans[i];
        const struct trace_group *group = &model->groups[span->group];
        if (has_own && marks[i] == 0) {
            continue;
        }
        (void)trace_each_span_tag(group, span, tell, telling);
        if (!has_own || trace_is_service(group, service)) {
            (void)trace_each_process_tag(group, tell, telling);
        }
    }
    free(marks);
}

static int tell_trace(struct telling *telling, struct slice service, const struct why_trace *trace)
{
    struct trace_model model;
    int error = 0;

    trace_model_init(&model, trace->trace_id);
    for (size_t i = 0; i < trace->part_count && error != WERR_NOMEM; i++) {
        error = trace->parts[i] != NULL ? trace_model_add(&model, trace->parts[i]) : error;
    }
    error = error != WERR_NOMEM ? trace_model_finish(&model) : error; /* what is broken is left out */
    if (error == 0) {
        tell_model(telling, &model, service);
    }
    trace_model_deinit(&model);
    return error;
}

/* ---- all samples ---- */

static int compare_traces(const void *x, const void *y)
{
    const struct why_trace *a = x;
    const struct why_trace *b = y;

    return memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);
}

static int tell_group(
    struct why *why, bool is_slow, struct slice service, const struct why_trace *traces, uint32_t trace_count)
{
    struct telling telling = {.why = why, .is_slow = is_slow};
    uint32_t sample_count = why_sample_count(why, is_slow);
    int error = 0;

    buffer_init(&telling.text, TEXT_BYTES_MAX);
    for (; telling.sample < sample_count && error == 0; telling.sample++) {
        struct why_trace wanted;
        memcpy(wanted.trace_id, why_sample_trace_id(why, is_slow, telling.sample), sizeof wanted.trace_id);
        const struct why_trace *trace =
            bsearch(&wanted, traces, trace_count, sizeof traces[0], compare_traces);
        error = trace != NULL ? tell_trace(&telling, service, trace) : 0;
    }
    error = error == 0 ? telling.text.error : error;
    buffer_deinit(&telling.text);
    return error;
}

int why_tell_spans(
    struct why *why, struct slice service, const struct why_trace *traces, uint32_t trace_count)
{
    uint8_t(*ids)[16] = calloc((size_t)trace_count + 1, sizeof ids[0]);
    int error = ids != NULL ? 0 : WERR_NOMEM;

    for (uint32_t i = 0; i < trace_count && error == 0; i++) {
        memcpy(ids[i], traces[i].trace_id, sizeof ids[i]);
    }
    if (error == 0) {
        why_use_samples(why, (const uint8_t(*)[16])ids, trace_count);
        error = tell_group(why, true, service, traces, trace_count);
    }
    if (error == 0) {
        error = tell_group(why, false, service, traces, trace_count);
    }
    if (error < 0) {
        why_use_samples(why, NULL, 0);
    }
    free(ids);
    return error;
}
