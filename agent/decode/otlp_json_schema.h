/*
 * The messages of OTLP as tables: what otlp_json.c writes for each JSON key. Field numbers and types:
 * opentelemetry/proto/{trace,metrics,logs,common,resource}/v1 of opentelemetry-proto 1.11. Never written
 * after start; any thread.
 */
#ifndef WEFT_DECODE_OTLP_JSON_SCHEMA_H
#define WEFT_DECODE_OTLP_JSON_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/otlp_json.h"

enum otlp_json_type {
    OTLP_JSON_MESSAGE,
    OTLP_JSON_TEXT,
    OTLP_JSON_ID,     /* bytes, in hex */
    OTLP_JSON_BASE64, /* bytes, in base64 */
    OTLP_JSON_BOOLEAN,
    OTLP_JSON_ENUM,
    OTLP_JSON_UINT32,
    OTLP_JSON_UINT64,
    OTLP_JSON_INT64,
    OTLP_JSON_SINT32,
    OTLP_JSON_FIXED32,
    OTLP_JSON_FIXED64,
    OTLP_JSON_SFIXED64,
    OTLP_JSON_DOUBLE,
};

struct otlp_json_message;

struct otlp_json_field {
    const char *key;
    uint8_t number;
    enum otlp_json_type type;
    bool is_repeated;
    bool has_presence; /* optional, or of a oneof: its default value is written as well */
    const struct otlp_json_message *message; /* of OTLP_JSON_MESSAGE */
    const char *const *names;                /* of OTLP_JSON_ENUM, by number */
    size_t name_count;
};

struct otlp_json_message {
    const struct otlp_json_field *fields;
    size_t field_count;
};

const struct otlp_json_message *otlp_json_schema_of(enum otlp_json_request request);

#endif
