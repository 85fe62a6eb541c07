/*
 * An access log line that is one JSON object, as a proxy writes it: its members by a map of names to
 * struct access_log_entry. One a listener and shard, its thread only. Nothing is allocated after the init.
 *
 *   {"request_method":"GET","status":"502", …} ─► member: key ─map─► field ─► texts[field] ─► entry
 *
 * Values may be strings or numbers; "" and "-" and null tell nothing; members that the map does not name are
 * skipped whatever they hold. Which proxy wrote it is told by the fields that are there: nginx' lists of
 * attempts (upstream_status …), HAProxy's termination state.
 */
#ifndef WEFT_DECODE_ACCESS_JSON_H
#define WEFT_DECODE_ACCESS_JSON_H

#include <stdint.h>

#include "core/access_fields.h"
#include "core/slice.h"
#include "decode/access_log.h"

const char *access_field_name(enum access_field field);

/* The key that a preset has for the field. Static. */
const char *access_preset_key(enum access_preset preset, enum access_field field);

struct access_json {
    struct slice keys[ACCESS_FIELD_COUNT]; /* borrowed; empty: the field is not looked for */
    uint32_t depth_max;
    uint8_t follows[ACCESS_FIELD_COUNT + 1]; /* which field came after this one in the line before: members
                                                rarely change their order */
    struct slice texts[ACCESS_FIELD_COUNT];  /* of the line at hand */
    uint8_t *scratch;                        /* texts without their escapes; owned */
    size_t scratch_bytes;
};

/*
 * keys: ACCESS_FIELD_COUNT texts that outlive it, NULL ones as the preset has them, "" for none. Lines of
 * at most line_bytes_max, arrays and objects in them nested at most depth_max deep, theirs included. 0 or
 * WERR_NOMEM.
 */
int access_json_init(struct access_json *json, enum access_preset preset, const char *const *keys,
    size_t line_bytes_max, uint32_t depth_max);
void access_json_deinit(struct access_json *json);

/* What came of a line. */
enum access_json_result {
    ACCESS_JSON_OK,
    ACCESS_JSON_NOT_JSON,  /* no JSON, or no object */
    ACCESS_JSON_TRUNCATED, /* it begins as JSON and ends too early: cut by its writer */
    ACCESS_JSON_NESTED,    /* deeper than depth_max */
    ACCESS_JSON_OVERSIZED, /* longer than line_bytes_max */
    ACCESS_JSON_MALFORMED, /* JSON, but no request: *ret_field is missing, or its value is none */
};

/*
 * Reads one line. ACCESS_JSON_OK fills *ret_entry, whose texts are the line's or the reader's own until the
 * next call; an end that is not told is now_unix_ns. Anything else writes *ret_field: the field's name, or
 * "".
 */
enum access_json_result access_json_read(struct access_json *json, struct slice line, uint64_t now_unix_ns,
    struct access_log_entry *ret_entry, const char **ret_field);

#endif
