/* Attributes and the meaning of their keys, see attribute.h. The table is built on the main thread, then only
 * read. */
#include "decode/attribute.h"

#include "decode/utf8.h"

/* Keys besides those of span.h whose values hold URLs or query strings. */
static const struct {
    const char *key;
    uint8_t flags;
} url_keys[] = {
    {"http.url", ATTRIBUTE_URL},
    {"url.full", ATTRIBUTE_URL},
    {"http.target", ATTRIBUTE_URL},
    {"url.path", ATTRIBUTE_URL},
    {"url.original", ATTRIBUTE_URL},
    {"http.path", ATTRIBUTE_URL},
    {"path", ATTRIBUTE_URL}, /* of Istio's access logs */
    {"http.referer", ATTRIBUTE_URL},
    {"http.request.header.referer", ATTRIBUTE_URL},
    {"http.request.header.:path", ATTRIBUTE_URL},
    {"http.response.header.location", ATTRIBUTE_URL},
    {"url.query", ATTRIBUTE_QUERY},
};

static const struct {
    const char *key;
    uint8_t id;
} span_keys[] = {
#define WEFT_SPAN_KEY(id, key) {(key), SPAN_ATTRIBUTE_##id},
    WEFT_SPAN_ATTRIBUTES(WEFT_SPAN_KEY)
#undef WEFT_SPAN_KEY
};

static const struct {
    const char *key;
    uint8_t id;
} resource_keys[] = {
#define WEFT_RESOURCE_KEY(id, key) {(key), RESOURCE_ATTRIBUTE_##id},
    WEFT_RESOURCE_ATTRIBUTES(WEFT_RESOURCE_KEY)
#undef WEFT_RESOURCE_KEY
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

_Static_assert(COUNT_OF(url_keys) + COUNT_OF(span_keys) + COUNT_OF(resource_keys) <= ATTRIBUTE_SLOT_COUNT / 2,
    "a half-empty table ends every look-up");

/* The slot of a key, a new one when it is not there. Keys are literals of at least ATTRIBUTE_KEY_BYTES_MIN
 * bytes. */
static struct attribute_slot *slot_of(struct attribute_table *table, const char *text)
{
    struct slice key = slice_of_string(text);
    uint64_t first;
    uint64_t last;

    attribute_key_words(key, &first, &last);
    uint32_t index = attribute_slot_index(first, last, key.length);
    while (table->slots[index].length != 0 && strcmp(table->slots[index].key, text) != 0) {
        index = (index + 1) % ATTRIBUTE_SLOT_COUNT;
    }
    struct attribute_slot *slot = &table->slots[index];
    if (slot->length == 0) {
        *slot = (struct attribute_slot){.first = first,
            .last = last,
            .key = text,
            .length = (uint32_t)key.length,
            .meaning = {.span_id = ATTRIBUTE_UNKNOWN,
                .resource_id = ATTRIBUTE_UNKNOWN,
                .flags = redaction_matches(&table->redaction, key) ? ATTRIBUTE_REDACT : 0}};
    }
    return slot;
}

void attribute_table_init(
    struct attribute_table *table, const struct redaction *redaction, uint32_t depth_max)
{
    memset(table->slots, 0, sizeof table->slots);
    table->redaction = *redaction;
    table->depth_max = depth_max;
    for (size_t i = 0; i < COUNT_OF(span_keys); i++) {
        slot_of(table, span_keys[i].key)->meaning.span_id = span_keys[i].id;
    }
    for (size_t i = 0; i < COUNT_OF(resource_keys); i++) {
        slot_of(table, resource_keys[i].key)->meaning.resource_id = resource_keys[i].id;
    }
    for (size_t i = 0; i < COUNT_OF(url_keys); i++) {
        slot_of(table, url_keys[i].key)->meaning.flags |= url_keys[i].flags;
    }
}

/* The AnyValue field's meaning. WERR_WIRE_TYPE when a known field comes with another type. */
static int value_field(const struct wire_field *field, struct attribute_value *value)
{
    switch (field->tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        value->type = ATTRIBUTE_TEXT;
        break;
    case WIRE_TAG(2, WIRE_VARINT):
    case WIRE_TAG(3, WIRE_VARINT):
        value->type = ATTRIBUTE_INTEGER;
        break;
    case WIRE_TAG(4, WIRE_FIXED64):
        value->type = ATTRIBUTE_DOUBLE;
        break;
    case WIRE_TAG(5, WIRE_BYTES):
        value->type = ATTRIBUTE_ARRAY;
        break;
    case WIRE_TAG(6, WIRE_BYTES):
        value->type = ATTRIBUTE_MAP;
        break;
    case WIRE_TAG(7, WIRE_BYTES):
        value->type = ATTRIBUTE_BYTES;
        break;
    default:
        return wire_tag_number(field->tag) <= 7 ? WERR_WIRE_TYPE : 0;
    }
    value->number = (uint8_t)wire_tag_number(field->tag);
    value->text = field->bytes;
    value->integer = (int64_t)field->integer;
    return 1;
}

int attribute_value_parse(struct slice encoded, struct attribute_value *ret_value)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct attribute_value value = {.type = ATTRIBUTE_NONE};
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        bool seen = value.type != ATTRIBUTE_NONE;
        status = value_field(&field, &value);
        if (status < 0) {
            return status;
        }
        value.irregular |= seen && status > 0;
    }
    if (status == 0) {
        *ret_value = value;
    }
    return status;
}

int attribute_parse(struct slice encoded, struct attribute *ret_attribute)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct attribute attribute = {.key = {.ptr = NULL, .length = 0}};
    bool irregular = false;
    unsigned keys_count = 0;
    unsigned values_count = 0;
    struct wire_field field;
    int status;

    while ((status = wire_next(&reader, &field)) > 0) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            attribute.key = field.bytes;
            irregular |= keys_count++ > 0;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            status = attribute_value_parse(field.bytes, &attribute.value);
            irregular |= values_count++ > 0;
        } else if (wire_tag_number(field.tag) <= 2) {
            status = WERR_WIRE_TYPE;
        }
        if (status < 0) {
            return status;
        }
    }
    if (status == 0) {
        attribute.value.irregular |= irregular;
        *ret_attribute = attribute;
    }
    return status;
}

static bool is_list(const struct attribute_value *value)
{
    return value->type == ATTRIBUTE_ARRAY || value->type == ATTRIBUTE_MAP;
}

/* Whether flags alone make an attribute dirty. */
static bool flags_are_dirty(const struct attribute_value *value, uint8_t flags)
{
    if ((flags & ATTRIBUTE_REDACT) != 0) {
        return value->type != ATTRIBUTE_TEXT || !slice_equal(value->text, SLICE_LITERAL(REDACTED_TEXT));
    }
    if ((flags & ATTRIBUTE_QUERY) != 0) {
        return value->type != ATTRIBUTE_NONE && (value->type != ATTRIBUTE_TEXT || value->text.length > 0);
    }
    /* in an encoded list the byte may also be a length: then a URL too many is hidden */
    return (flags & ATTRIBUTE_URL) != 0 && slice_find(value->text, '?') < value->text.length;
}

/* A value that flags replace is not looked into; any other list is, also one that is dirty for its fields'
 * number: what is written of it must be sound and not too deep. */
static int is_dirty(const struct attribute_table *table, const struct attribute_value *value, uint8_t flags,
    uint32_t depth_left)
{
    if (flags != 0 && flags_are_dirty(value, flags)) {
        return 1;
    }
    int status = is_list(value) ? attribute_list_is_dirty(table, value, depth_left) : 0;
    return status < 0 ? status : status | (int)value->irregular;
}

int attribute_list_is_dirty(
    const struct attribute_table *table, const struct attribute_value *list, uint32_t depth_left)
{
    struct wire_reader reader;
    struct wire_field field;
    int dirty = 0;
    int status = wire_open(list->text, depth_left, &reader);

    if (status < 0) {
        return status;
    }
    while ((status = wire_next(&reader, &field)) > 0) {
        struct attribute attribute = {.key = {.ptr = NULL, .length = 0}};
        uint8_t flags = 0;
        if (field.tag != WIRE_TAG(1, WIRE_BYTES)) {
            continue;
        }
        if (list->type == ATTRIBUTE_MAP) {
            status = attribute_parse(field.bytes, &attribute);
            flags = attribute_lookup(table, attribute.key).flags;
        } else {
            status = attribute_value_parse(field.bytes, &attribute.value);
        }
        if (status == 0) {
            status = is_dirty(table, &attribute.value, flags, depth_left - 1);
        }
        if (status < 0) {
            return status;
        }
        dirty |= status;
    }
    return status < 0 ? status : dirty;
}

int attribute_is_dirty(const struct attribute_table *table, const struct attribute *attribute, uint8_t flags)
{
    return is_dirty(table, &attribute->value, flags, table->depth_max);
}

static bool list_is_utf8(const struct attribute_value *list, uint32_t depth_left)
{
    struct wire_reader reader;
    struct wire_field field;

    if (utf8_is_ascii(list->text) || wire_open(list->text, depth_left, &reader) < 0) {
        return true;
    }
    while (wire_next(&reader, &field) > 0) {
        struct attribute entry = {.key = {.ptr = NULL, .length = 0}};
        if (field.tag != WIRE_TAG(1, WIRE_BYTES)) {
            continue;
        }
        int status = list->type == ATTRIBUTE_MAP ? attribute_parse(field.bytes, &entry)
                                                 : attribute_value_parse(field.bytes, &entry.value);
        if (status == 0 &&
            (!utf8_is_valid(entry.key) || !attribute_value_is_utf8(&entry.value, depth_left - 1))) {
            return false;
        }
    }
    return true;
}

bool attribute_value_is_utf8(const struct attribute_value *value, uint32_t depth_left)
{
    if (value->type == ATTRIBUTE_TEXT) {
        return utf8_is_valid(value->text);
    }
    return !is_list(value) || list_is_utf8(value, depth_left);
}

bool attribute_texts_are_valid(struct slice encoded, uint32_t depth_max)
{
    struct attribute attribute;

    return utf8_is_ascii(encoded) || attribute_parse(encoded, &attribute) < 0 ||
           (utf8_is_valid(attribute.key) && attribute_value_is_utf8(&attribute.value, depth_max));
}
