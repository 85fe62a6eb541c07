/*
 * One attribute (OTLP KeyValue), read in place, and the table that says what its key means: an attribute that
 * the agent reads, one that holds a URL, one to redact. The table is built once from the configuration and
 * then only read.
 *
 *   key ─► hash(first 8 bytes, last 8 bytes, length) ─► slot ─► meaning        keys of up to 16 bytes compare
 * as two words
 *
 * Source of the field numbers: opentelemetry/proto/common/v1/common.proto.
 */
#ifndef WEFT_DECODE_ATTRIBUTE_H
#define WEFT_DECODE_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"
#include "decode/redaction.h"
#include "decode/span.h"
#include "decode/wire.h"

enum attribute_type {
    ATTRIBUTE_NONE,    /* no value */
    ATTRIBUTE_TEXT,    /* string_value: text */
    ATTRIBUTE_INTEGER, /* int_value or bool_value: integer */
    ATTRIBUTE_DOUBLE,  /* integer holds its bits */
    ATTRIBUTE_ARRAY,   /* text is the encoded ArrayValue */
    ATTRIBUTE_MAP,     /* text is the encoded KeyValueList */
    ATTRIBUTE_BYTES,   /* text is the bytes */
};

struct attribute_value {
    enum attribute_type type;
    uint8_t number; /* of the field in AnyValue that it came in */
    bool irregular; /* a field came twice: only the last counts, yet the bytes hold both */
    struct slice text;
    int64_t integer;
};

struct attribute {
    struct slice key;
    struct attribute_value value; /* irregular also when the key or the value came twice */
};

/* Resource attributes that the agent reads: X(ID, key), the first one that a resource has wins. */
#define WEFT_RESOURCE_ATTRIBUTES(X)                                                                          \
    X(SERVICE_NAME, "service.name")                                                                          \
    X(SERVICE_NAMESPACE, "service.namespace")                                                                \
    X(K8S_NAMESPACE, "k8s.namespace.name")                                                                   \
    X(WORKLOAD, "k8s.deployment.name")                                                                       \
    X(WORKLOAD, "k8s.statefulset.name")                                                                      \
    X(WORKLOAD, "k8s.daemonset.name")                                                                        \
    X(WORKLOAD, "k8s.cronjob.name")                                                                          \
    X(WORKLOAD, "k8s.job.name")                                                                              \
    X(WORKLOAD, "k8s.replicaset.name")                                                                       \
    X(SDK_NAME, "telemetry.sdk.name")                                                                        \
    X(NODE, "k8s.node.name")                                                                                 \
    X(NODE, "host.name")                                                                                     \
    X(VERSION, "service.version")                                                                            \
    X(POD, "k8s.pod.name")                                                                                   \
    X(POD_UID, "k8s.pod.uid")                                                                                \
    X(CLUSTER, "k8s.cluster.name")

enum resource_attribute_id {
    RESOURCE_ATTRIBUTE_SERVICE_NAME,
    RESOURCE_ATTRIBUTE_SERVICE_NAMESPACE,
    RESOURCE_ATTRIBUTE_K8S_NAMESPACE,
    RESOURCE_ATTRIBUTE_WORKLOAD,
    RESOURCE_ATTRIBUTE_SDK_NAME,
    RESOURCE_ATTRIBUTE_NODE,
    RESOURCE_ATTRIBUTE_VERSION,
    RESOURCE_ATTRIBUTE_POD,
    RESOURCE_ATTRIBUTE_POD_UID,
    RESOURCE_ATTRIBUTE_CLUSTER,
    RESOURCE_ATTRIBUTE_COUNT
};

enum attribute_flag {
    ATTRIBUTE_REDACT = 1, /* its value is a secret */
    ATTRIBUTE_URL = 2,    /* a '?' in its value begins a query string */
    ATTRIBUTE_QUERY = 4,  /* its value is a query string */
};

enum { ATTRIBUTE_UNKNOWN = 255 };

struct attribute_meaning {
    uint8_t span_id;     /* enum span_attribute_id or ATTRIBUTE_UNKNOWN */
    uint8_t resource_id; /* enum resource_attribute_id or ATTRIBUTE_UNKNOWN */
    uint8_t flags;       /* of enum attribute_flag */
};

enum { ATTRIBUTE_SLOT_COUNT = 256, ATTRIBUTE_KEY_BYTES_MIN = 4, ATTRIBUTE_KEY_BYTES_MAX = 40 };

struct attribute_slot {
    uint64_t first; /* the key's first 8 bytes, or 4 */
    uint64_t last;  /* the key's last 8 bytes, or 4 */
    const char *key;
    uint32_t length; /* 0: the slot is free */
    struct attribute_meaning meaning;
};

struct attribute_table {
    struct attribute_slot slots[ATTRIBUTE_SLOT_COUNT];
    struct redaction redaction;
    uint32_t depth_max; /* of lists within an attribute's value */
};

/* depth_max: see limits.h, nesting_depth_max. The redaction set is copied. */
void attribute_table_init(
    struct attribute_table *table, const struct redaction *redaction, uint32_t depth_max);

/* Reads a KeyValue whose fields may be in any order and number. Negative on damage. */
int attribute_parse(struct slice encoded, struct attribute *ret_attribute);

/* Reads an AnyValue. Negative on damage. */
int attribute_value_parse(struct slice encoded, struct attribute_value *ret_value);

/*
 * Whether an attribute must be written anew before it is stored: it is redacted, holds a query string, or a
 * list in it does. 1, 0, or negative when a list is damaged or too deep.
 */
int attribute_is_dirty(const struct attribute_table *table, const struct attribute *attribute, uint8_t flags);

/* The same for an ArrayValue or KeyValueList; depth_left: levels of lists that may be opened, this one
 * included. */
int attribute_list_is_dirty(
    const struct attribute_table *table, const struct attribute_value *list, uint32_t depth_left);

/*
 * Whether the key and every text of the value, lists included, are UTF-8, as proto3 wants strings to be. For
 * what attribute_read accepted: damage, and lists too deep, are not looked into. depth_max: as in the table.
 */
bool attribute_texts_are_valid(struct slice encoded, uint32_t depth_max);

/* The same of a value alone; depth_left: levels of lists that may be opened. */
bool attribute_value_is_utf8(const struct attribute_value *value, uint32_t depth_left);

/* Words of a key of at least ATTRIBUTE_KEY_BYTES_MIN bytes; nothing outside the key is read. */
static inline void attribute_key_words(struct slice key, uint64_t *ret_first, uint64_t *ret_last)
{
    if (__builtin_expect(key.length >= 8, 1)) {
        memcpy(ret_first, key.ptr, 8);
        memcpy(ret_last, key.ptr + key.length - 8, 8);
    } else {
        uint32_t first;
        uint32_t last;
        memcpy(&first, key.ptr, 4);
        memcpy(&last, key.ptr + key.length - 4, 4);
        *ret_first = first;
        *ret_last = last;
    }
}

/* The bytes of a key of more than 16 bytes between its first and last 8, without a call for all up to 24. */
static inline bool attribute_key_middle_is(struct slice key, const char *text)
{
    uint64_t ours;
    uint64_t theirs;

    memcpy(&ours, key.ptr + 8, 8);
    memcpy(&theirs, text + 8, 8);
    return ours == theirs && (key.length <= 24 || memcmp(text + 16, key.ptr + 16, key.length - 24) == 0);
}

static inline uint32_t attribute_slot_index(uint64_t first, uint64_t last, size_t length)
{
    uint64_t mixed = (first ^ (last << 23 | last >> 41)) + length;

    return (uint32_t)((mixed * 0x9e3779b97f4a7c15ull) >> 56);
}

/* What a key means; also for keys that are not in the table, which may be redacted. */
static inline struct attribute_meaning attribute_lookup(const struct attribute_table *table, struct slice key)
{
    struct attribute_meaning unknown = {.span_id = ATTRIBUTE_UNKNOWN, .resource_id = ATTRIBUTE_UNKNOWN};

    if (__builtin_expect(key.length >= ATTRIBUTE_KEY_BYTES_MIN, 1)) {
        uint64_t first;
        uint64_t last;
        attribute_key_words(key, &first, &last);
        uint32_t index = attribute_slot_index(first, last, key.length);
        /* at least half of the slots are free, so this ends */
        for (const struct attribute_slot *slot = &table->slots[index]; slot->length != 0;
             slot = &table->slots[index = (index + 1) % ATTRIBUTE_SLOT_COUNT]) {
            if (slot->first == first && slot->last == last && slot->length == key.length &&
                (key.length <= 16 || attribute_key_middle_is(key, slot->key))) {
                return slot->meaning;
            }
        }
    }
    unknown.flags = redaction_matches(&table->redaction, key) ? ATTRIBUTE_REDACT : 0;
    return unknown;
}

/*
 * The usual shape of an attribute: key, then a string value, no length above 127. False, and nothing written,
 * for all others, damaged ones included: those are for attribute_parse.
 */
static inline bool attribute_parse_plain(
    const uint8_t *at, size_t length, struct slice *ret_key, struct slice *ret_text)
{
    if (length < 6 || at[0] != WIRE_TAG(1, WIRE_BYTES)) {
        return false;
    }
    size_t key_bytes = at[1];
    if (key_bytes > 127 || key_bytes + 6 > length) {
        return false;
    }
    const uint8_t *value = at + 2 + key_bytes;
    size_t text_bytes = length - key_bytes - 6;
    if (text_bytes > 125 || value[0] != WIRE_TAG(2, WIRE_BYTES) || value[1] != text_bytes + 2 ||
        value[2] != WIRE_TAG(1, WIRE_BYTES) || value[3] != text_bytes) {
        return false;
    }
    *ret_key = slice_of(at + 2, key_bytes);
    *ret_text = slice_of(value + 4, text_bytes);
    return true;
}

/*
 * Reads an attribute of any shape and looks its key up. 1 when it must be written anew before it is stored, 0
 * when not, negative when it is damaged.
 */
static inline int attribute_read(const struct attribute_table *table, struct slice encoded,
    struct attribute *ret_attribute, struct attribute_meaning *ret_meaning)
{
    struct attribute attribute = {.value = {.type = ATTRIBUTE_TEXT, .number = 1}};

    if (!attribute_parse_plain(encoded.ptr, encoded.length, &attribute.key, &attribute.value.text)) {
        int status = attribute_parse(encoded, &attribute);
        if (status < 0) {
            return status;
        }
    }
    *ret_attribute = attribute;
    *ret_meaning = attribute_lookup(table, attribute.key);
    return attribute_is_dirty(table, &attribute, ret_meaning->flags);
}

#endif
