/* The Resource of a ResourceSpans: the names of who sends. See otlp_trace.h. Runs on any thread. */
#include "decode/otlp_schema.h"
#include "decode/otlp_trace.h"
#include "decode/utf8.h"

enum { FIELD_ENTITY_REFS = 3, ENTITY_FIELDS_COUNT = 4 };

static struct slice *resource_text(struct span_resource *resource, uint8_t id)
{
    switch (id) {
    case RESOURCE_ATTRIBUTE_SERVICE_NAME:
        return &resource->service_name;
    case RESOURCE_ATTRIBUTE_SERVICE_NAMESPACE:
        return &resource->service_namespace;
    case RESOURCE_ATTRIBUTE_K8S_NAMESPACE:
        return &resource->k8s_namespace;
    case RESOURCE_ATTRIBUTE_WORKLOAD:
        return &resource->workload;
    case RESOURCE_ATTRIBUTE_SDK_NAME:
        return &resource->sdk_name;
    case RESOURCE_ATTRIBUTE_VERSION:
        return &resource->version;
    case RESOURCE_ATTRIBUTE_POD:
        return &resource->pod;
    case RESOURCE_ATTRIBUTE_POD_UID:
        return &resource->pod_uid;
    case RESOURCE_ATTRIBUTE_CLUSTER:
        return &resource->cluster;
    default:
        return &resource->node;
    }
}

/* Keeps a resource attribute that the agent reads; the first of an id wins. */
static void keep_resource_text(const struct otlp_trace_scanner *scanner, struct otlp_resource *resource,
    struct attribute_meaning meaning, const struct attribute_value *value)
{
    if (meaning.resource_id == ATTRIBUTE_UNKNOWN || (meaning.flags & ATTRIBUTE_REDACT) != 0 ||
        value->type != ATTRIBUTE_TEXT || value->text.length > scanner->attribute_bytes_max ||
        (resource->seen & 1u << meaning.resource_id) != 0) {
        return;
    }
    resource->seen |= 1u << meaning.resource_id;
    *resource_text(&resource->names, meaning.resource_id) = value->text;
}

/* EntityRef of common/v1: all its fields are strings. */
static bool entity_is_valid(struct slice encoded)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;

    while (wire_next(&reader, &field) > 0) {
        if (wire_tag_number(field.tag) <= ENTITY_FIELDS_COUNT && wire_tag_type(field.tag) == WIRE_BYTES &&
            !utf8_is_valid(field.bytes)) {
            return false;
        }
    }
    return true;
}

bool otlp_resource_texts_are_valid(struct slice encoded, uint32_t depth_max)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    bool valid = true;

    while (valid && wire_next(&reader, &field) > 0) {
        if (otlp_child_kind(OTLP_RESOURCE, field.tag) == OTLP_ATTRIBUTE) {
            valid = attribute_texts_are_valid(field.bytes, depth_max);
        } else if (field.tag == WIRE_TAG(FIELD_ENTITY_REFS, WIRE_BYTES)) {
            valid = entity_is_valid(field.bytes);
        }
    }
    return valid;
}

int otlp_resource_read(
    const struct otlp_trace_scanner *scanner, struct slice encoded, struct otlp_resource *resource)
{
    struct wire_reader reader = wire_reader_of(encoded);
    struct wire_field field;
    struct attribute attribute;
    struct attribute_meaning meaning;
    int status;

    resource->texts_are_valid &= otlp_resource_texts_are_valid(encoded, scanner->attributes.depth_max);
    while ((status = wire_next(&reader, &field)) > 0) {
        if (!otlp_field_is_sound(OTLP_RESOURCE, field.tag)) {
            return WERR_WIRE_TYPE;
        }
        if (otlp_child_kind(OTLP_RESOURCE, field.tag) != OTLP_ATTRIBUTE) {
            continue;
        }
        status = attribute_read(&scanner->attributes, field.bytes, &attribute, &meaning);
        if (status < 0) {
            return status;
        }
        resource->is_dirty |= status > 0;
        keep_resource_text(scanner, resource, meaning, &attribute.value);
    }
    return status;
}

int otlp_trace_read_resource(
    const struct otlp_trace_scanner *scanner, struct slice resource_spans, struct otlp_resource *ret_resource)
{
    struct wire_reader reader = wire_reader_of(resource_spans);
    struct wire_field field;
    struct otlp_resource resource = {.texts_are_valid = true};

    /* damage around the resource is left for those who walk the spans: they meet it in its turn */
    while (wire_next(&reader, &field) > 0) {
        if (otlp_child_kind(OTLP_RESOURCE_SPANS, field.tag) == OTLP_RESOURCE) {
            int error = otlp_resource_read(scanner, field.bytes, &resource);
            if (error < 0) {
                return error;
            }
        }
    }
    *ret_resource = resource;
    return 0;
}
