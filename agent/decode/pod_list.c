/* Pods as Kubernetes tells of them: pod_list.h. */
#include "decode/pod_list.h"

#include <stdbool.h>

#include "core/error.h"
#include "decode/json.h"

static bool is_key(const struct json_value *key, const char *name)
{
    return !key->escaped && slice_equal(key->text, slice_of_string(name));
}

/* A text that needs no work; names of Kubernetes never do. */
static struct slice plain(const struct json_value *value)
{
    return value->type == JSON_STRING && !value->escaped ? value->text : slice_of(NULL, 0);
}

/* The better-known of two labels stands above the other. */
static void take_label(struct slice key, struct slice value, struct pod_facts *facts)
{
    if (slice_equal(key, SLICE_LITERAL("pod-template-hash"))) {
        facts->template_hash = value;
    } else if (slice_equal(key, SLICE_LITERAL("app.kubernetes.io/name")) ||
               (slice_equal(key, SLICE_LITERAL("app")) && facts->app.length == 0)) {
        facts->app = value;
    } else if (slice_equal(key, SLICE_LITERAL("app.kubernetes.io/version")) ||
               (slice_equal(key, SLICE_LITERAL("version")) && facts->version.length == 0)) {
        facts->version = value;
    }
}

static int read_labels(struct json_reader *reader, struct pod_facts *facts)
{
    struct json_value key;
    struct json_value value;
    int status;

    for (int count = 0; (status = json_member(reader, &key, &value)) > 0; count++) {
        if (count < POD_LABELS_COUNT_MAX && value.type == JSON_STRING) {
            take_label(key.text, plain(&value), facts);
        } else if ((status = json_skip(reader, &value)) < 0) {
            return status;
        }
    }
    return status;
}

static int read_owner(struct json_reader *reader, struct pod_facts *facts)
{
    struct slice kind = {.length = 0};
    struct slice name = {.length = 0};
    bool is_controller = false;
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(reader, &key, &value)) > 0) {
        if (is_key(&key, "kind")) {
            kind = plain(&value);
        } else if (is_key(&key, "name")) {
            name = plain(&value);
        } else if (is_key(&key, "controller")) {
            is_controller = value.type == JSON_BOOLEAN && value.boolean;
        }
        if ((status = json_skip(reader, &value)) < 0) {
            return status;
        }
    }
    if (status == 0 && is_controller) {
        facts->owner_kind = kind;
        facts->owner_name = name;
    }
    return status;
}

static int read_owners(struct json_reader *reader, struct pod_facts *facts)
{
    struct json_value value;
    int status;

    while ((status = json_element(reader, &value)) > 0) {
        status = value.type == JSON_OBJECT ? read_owner(reader, facts) : json_skip(reader, &value);
        if (status < 0) {
            return status;
        }
    }
    return status;
}

static int read_metadata(struct json_reader *reader, struct pod_facts *facts)
{
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(reader, &key, &value)) > 0) {
        if (is_key(&key, "labels") && value.type == JSON_OBJECT) {
            status = read_labels(reader, facts);
        } else if (is_key(&key, "ownerReferences") && value.type == JSON_ARRAY) {
            status = read_owners(reader, facts);
        } else {
            if (is_key(&key, "uid")) {
                facts->uid = plain(&value);
            } else if (is_key(&key, "name")) {
                facts->name = plain(&value);
            } else if (is_key(&key, "namespace")) {
                facts->pod_namespace = plain(&value);
            }
            status = json_skip(reader, &value);
        }
        if (status < 0) {
            return status;
        }
    }
    return status;
}

static int read_pod(struct json_reader *reader, const struct pod_sink *sink)
{
    struct pod_facts facts = {.uid = {.length = 0}};
    struct json_value key;
    struct json_value value;
    int status;

    while ((status = json_member(reader, &key, &value)) > 0) {
        status = is_key(&key, "metadata") && value.type == JSON_OBJECT ? read_metadata(reader, &facts)
                                                                       : json_skip(reader, &value);
        if (status < 0) {
            return status;
        }
    }
    if (status == 0 && facts.uid.length > 0 && facts.name.length > 0) {
        sink->on_pod(sink->user, &facts);
    }
    return status;
}

static int read_items(struct json_reader *reader, const struct pod_sink *sink)
{
    struct json_value value;
    int status;

    while ((status = json_element(reader, &value)) > 0) {
        status = value.type == JSON_OBJECT ? read_pod(reader, sink) : json_skip(reader, &value);
        if (status < 0) {
            return status;
        }
    }
    return status;
}

int pod_list_read(struct slice json, const struct pod_sink *sink)
{
    struct json_reader reader = json_reader_of(json, POD_LIST_DEPTH_MAX);
    struct json_value key;
    struct json_value value;
    bool has_items = false;
    int status = json_read(&reader, &value);

    if (status > 0 && value.type != JSON_OBJECT) {
        return WERR_INVALID;
    }
    while (status > 0 && (status = json_member(&reader, &key, &value)) > 0) {
        bool is_items = is_key(&key, "items");

        has_items |= is_items;
        status =
            is_items && value.type == JSON_ARRAY ? read_items(&reader, sink) : json_skip(&reader, &value);
        status = status < 0 ? status : 1;
    }
    if (status == 0) {
        status = json_end(&reader);
    }
    return status == 0 && !has_items ? WERR_INVALID : status;
}

void pod_labels_read(struct slice text, struct pod_facts *facts)
{
    for (int count = 0; text.length > 0 && count < POD_LABELS_COUNT_MAX; count++) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_sub(text, 0, end);
        size_t equals = slice_find(line, '=');
        struct slice value = slice_sub(line, equals + 1, line.length);

        text = slice_sub(text, end + 1, text.length);
        if (value.length >= 2 && value.ptr[0] == '"' && value.ptr[value.length - 1] == '"' &&
            slice_find(value, '\\') == value.length) {
            take_label(slice_sub(line, 0, equals), slice_sub(value, 1, value.length - 1), facts);
        }
    }
}

struct slice pod_workload(const struct pod_facts *facts)
{
    struct slice owner = facts->owner_name.length > 0 ? facts->owner_name : facts->name;
    size_t hash_length = facts->template_hash.length;
    bool is_replica_set =
        facts->owner_name.length == 0 || slice_equal(facts->owner_kind, SLICE_LITERAL("ReplicaSet"));

    if (facts->owner_name.length == 0 && hash_length > 0) {
        /* No owner is told (downward API): DEPLOYMENT-HASH-RANDOM */
        size_t at = owner.length;
        while (at > 0 && owner.ptr[at - 1] != '-') {
            at--;
        }
        struct slice without_random = slice_sub(owner, 0, at > 0 ? at - 1 : 0);
        owner = slice_has_suffix(without_random, facts->template_hash) ? without_random : owner;
    }
    if (is_replica_set && hash_length > 0 && owner.length > hash_length + 1 &&
        slice_has_suffix(owner, facts->template_hash) && owner.ptr[owner.length - hash_length - 1] == '-') {
        return slice_sub(owner, 0, owner.length - hash_length - 1);
    }
    return owner;
}
