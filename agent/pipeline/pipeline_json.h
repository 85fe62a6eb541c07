/*
 * Records that come as JSON: written anew as OTLP, and from there on treated as what an OTLP sender wrote. So
 * nothing of a document is applied before all of it was read. Runs on the shard's loop.
 */
#ifndef WEFT_AGENT_PIPELINE_JSON_H
#define WEFT_AGENT_PIPELINE_JSON_H

#include "core/budget.h"
#include "decode/json_otlp.h"
#include "decode/otlp_json.h"
#include "pipeline/pipeline.h"

/* A decoder of spans in a format of its own: zipkin_to_otlp and its like. */
typedef int pipeline_transcode(struct slice body, uint32_t depth_max, struct buffer *out,
    struct json_otlp_result *ret_result, struct decode_error *ret_error);

/*
 * Takes a document of spans. 0, with what was rejected in the outcome; as pipeline_otlp_traces otherwise,
 * where a document that is broken anywhere is refused whole, nothing of it counted. WERR_NOMEM also when
 * `assembly`, from which the memory for the OTLP bytes comes meanwhile, has no room (NULL: it is not asked).
 */
int pipeline_json_spans(struct pipeline *pipeline, const struct sender *sender, pipeline_transcode *transcode,
    struct slice body, struct budget *assembly, struct otlp_outcome *ret_outcome);

/* The same for an OTLP request in JSON. */
int pipeline_json_otlp(struct pipeline *pipeline, const struct sender *sender, enum otlp_json_request request,
    struct slice body, struct budget *assembly, struct otlp_outcome *ret_outcome);

#endif
