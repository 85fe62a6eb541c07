/* JSON access log lines to entries; see access_json.h. One shard's thread. */
#include "decode/access_json.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "decode/access_dialect.h"
#include "decode/json.h"

static const char *const field_names[ACCESS_FIELD_COUNT] = {
#define WEFT_ACCESS_FIELD_NAME(name, nginx, haproxy) [ACCESS_FIELD_##name] = #name,
    WEFT_ACCESS_FIELDS(WEFT_ACCESS_FIELD_NAME)
#undef WEFT_ACCESS_FIELD_NAME
};

static const char *const nginx_keys[ACCESS_FIELD_COUNT] = {
#define WEFT_ACCESS_NGINX_KEY(name, nginx, haproxy) [ACCESS_FIELD_##name] = (nginx),
    WEFT_ACCESS_FIELDS(WEFT_ACCESS_NGINX_KEY)
#undef WEFT_ACCESS_NGINX_KEY
};

static const char *const haproxy_keys[ACCESS_FIELD_COUNT] = {
#define WEFT_ACCESS_HAPROXY_KEY(name, nginx, haproxy) [ACCESS_FIELD_##name] = (haproxy),
    WEFT_ACCESS_FIELDS(WEFT_ACCESS_HAPROXY_KEY)
#undef WEFT_ACCESS_HAPROXY_KEY
};

const char *access_field_name(enum access_field field)
{
    return field_names[field];
}

const char *access_preset_key(enum access_preset preset, enum access_field field)
{
    switch (preset) {
    case ACCESS_PRESET_NGINX:
        return nginx_keys[field];
    case ACCESS_PRESET_HAPROXY:
        return haproxy_keys[field];
    case ACCESS_PRESET_JSON:
    case ACCESS_PRESET_COUNT:
    default:
        return field_names[field];
    }
}

int access_json_init(struct access_json *json, enum access_preset preset, const char *const *keys,
    size_t line_bytes_max, uint32_t depth_max)
{
    *json = (struct access_json){.depth_max = depth_max, .scratch_bytes = line_bytes_max};
    json->scratch = malloc(line_bytes_max);
    if (json->scratch == NULL) {
        return WERR_NOMEM;
    }
    for (unsigned i = 0; i < ACCESS_FIELD_COUNT; i++) {
        const char *key = keys[i] != NULL ? keys[i] : access_preset_key(preset, (enum access_field)i);
        json->keys[i] = slice_of_string(key);
    }
    return 0;
}

void access_json_deinit(struct access_json *json)
{
    free(json->scratch);
    json->scratch = NULL;
}

/* The field of a key, ACCESS_FIELD_COUNT for none. `last`: the field before in this line, COUNT at its
 * begin. */
static unsigned field_of(struct access_json *json, struct slice key, unsigned last)
{
    unsigned guess = json->follows[last];

    if (key.length == 0) {
        return ACCESS_FIELD_COUNT; /* an empty key in the map is no key */
    }
    if (slice_equal(json->keys[guess], key)) {
        return guess;
    }
    for (unsigned i = 0; i < ACCESS_FIELD_COUNT; i++) {
        if (slice_equal(json->keys[i], key)) {
            json->follows[last] = (uint8_t)i;
            return i;
        }
    }
    return ACCESS_FIELD_COUNT;
}

/* "-" stands for nothing but in a list of attempts, where it says that this one did not come to that. */
static bool tells_nothing(unsigned field, struct slice text)
{
    bool is_list = field >= ACCESS_FIELD_upstream_address && field <= ACCESS_FIELD_upstream_header;

    return text.length == 0 || (text.length == 1 && text.ptr[0] == '-' && !is_list);
}

/* A value without its escapes; all of a line's together are shorter than the line, which fits. */
static struct slice text_of(struct access_json *json, const struct json_value *value, size_t *used)
{
    if (value->type != JSON_STRING && value->type != JSON_NUMBER) {
        return slice_of(NULL, 0);
    }
    if (!value->escaped) {
        return value->text;
    }
    uint8_t *out = json->scratch + *used;
    size_t length = json_unescape(value->text, out);
    *used += length;
    return slice_of(out, length);
}

/* Members to texts: the first of several with one key counts. 0, or the reader's error. */
static int gather(struct access_json *json, struct json_reader *reader)
{
    struct json_value key;
    struct json_value value;
    unsigned last = ACCESS_FIELD_COUNT;
    size_t used = 0;
    int more;

    memset(json->texts, 0, sizeof json->texts);
    while ((more = json_member(reader, &key, &value)) > 0) {
        unsigned field = key.escaped ? ACCESS_FIELD_COUNT : field_of(json, key.text, last);
        int error = json_skip(reader, &value);
        if (error < 0) {
            return error;
        }
        if (field == ACCESS_FIELD_COUNT) {
            continue;
        }
        last = field;
        if (json->texts[field].ptr == NULL) {
            struct slice text = text_of(json, &value, &used);
            json->texts[field] = tells_nothing(field, text) ? slice_of(NULL, 0) : text;
        }
    }
    return more < 0 ? more : json_end(reader);
}

static enum access_json_result result_of(int error)
{
    switch (error) {
    case WERR_TRUNCATED:
        return ACCESS_JSON_TRUNCATED;
    case WERR_DEPTH:
        return ACCESS_JSON_NESTED;
    default:
        return ACCESS_JSON_NOT_JSON;
    }
}

enum access_json_result access_json_read(struct access_json *json, struct slice line, uint64_t now_unix_ns,
    struct access_log_entry *ret_entry, const char **ret_field)
{
    struct json_reader reader = json_reader_of(line, json->depth_max);
    struct json_value value;
    enum access_field field;

    *ret_field = "";
    if (line.length > json->scratch_bytes) {
        return ACCESS_JSON_OVERSIZED;
    }
    if (line.length == 0 || line.ptr[0] != '{') {
        return ACCESS_JSON_NOT_JSON; /* plain text that was cut is no JSON that was cut */
    }
    int error = json_read(&reader, &value);
    if (error >= 0) {
        error = gather(json, &reader);
    }
    if (error < 0) {
        return result_of(error);
    }
    if (!access_dialect_read(json->texts, now_unix_ns, ret_entry, &field)) {
        *ret_field = field_names[field];
        return ACCESS_JSON_MALFORMED;
    }
    ret_entry->raw = line;
    return ACCESS_JSON_OK;
}
