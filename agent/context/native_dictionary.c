/* Strings and names of a native connection; see native_dictionary.h. One shard's thread. */
#include "context/native_dictionary.h"

#include <stdlib.h>
#include <string.h>

#include "context/identity.h"
#include "context/native_series.h"
#include "context/request.h"
#include "core/error.h"

enum { STRINGS_CAPACITY_MIN = 64 };

void native_dictionary_init(
    struct native_dictionary *dictionary, struct context *context, struct budget *budget)
{
    *dictionary = (struct native_dictionary){.context = context,
        .budget = budget,
        .self = {.service = INTERNED_UNKNOWN, .service_namespace = INTERNED_UNKNOWN}};
}

static void visit_parties(struct interner *interner, const struct request_parties *parties,
    void (*visit)(struct interner *, uint32_t))
{
    for (size_t i = 0; i < 2; i++) {
        visit(interner, parties[i].source_identity);
        visit(interner, parties[i].destination_identity);
        visit(interner, parties[i].own_place);
    }
}

void native_dictionary_deinit(struct native_dictionary *dictionary)
{
    struct interner *interner;

    if (dictionary == NULL || dictionary->context == NULL) {
        return;
    }
    interner = dictionary->context->interner;
    native_series_clear(dictionary);
    for (uint32_t i = 0; i < dictionary->string_count; i++) {
        interner_unref(interner, dictionary->strings[i].id);
    }
    interner_unref(interner, dictionary->self.service);
    interner_unref(interner, dictionary->self.service_namespace);
    interner_unref(interner, dictionary->instance);
    visit_parties(interner, dictionary->parties, interner_unref);
    if (dictionary->strings != NULL) {
        free(dictionary->strings);
        budget_release(dictionary->budget, dictionary->string_capacity * sizeof *dictionary->strings);
    }
    *dictionary = (struct native_dictionary){.context = NULL};
}

/* Whom the client calls or is called by it does not know better than by name. */
static void identify_self(
    struct native_dictionary *dictionary, const struct span_resource *resource, const struct sender *sender)
{
    static const struct identity unknown = {.workload = {.length = 0}};
    struct context *context = dictionary->context;
    struct sender_claim claim = {.service_namespace = resource->service_namespace};
    struct identity self = {.workload = resource->service_name,
        .workload_namespace = resource->service_namespace,
        .canonical_service = resource->service_name};

    visit_parties(context->interner, dictionary->parties, interner_unref);
    if (sender != NULL && sender_contradicts(sender, &claim)) {
        self = (struct identity){.workload = slice_of_string(sender->id)};
    }
    dictionary->parties[0] = context_identify(context, REPORTER_SOURCE, &self, &unknown, SECURITY_UNKNOWN);
    dictionary->parties[1] =
        context_identify(context, REPORTER_DESTINATION, &unknown, &self, SECURITY_UNKNOWN);
    visit_parties(context->interner, dictionary->parties, interner_ref);
}

/* A pod that the socket's credentials prove is not the client's to name. */
static uint32_t instance_of(
    struct context *context, const Weft__V1__Hello *hello, const struct sender *sender)
{
    bool is_proven = sender != NULL && sender->kind == SENDER_POD;

    if (is_proven || hello->node[0] == '\0') {
        return INTERNED_NONE;
    }
    uint32_t id = context_intern(context, slice_of_string(hello->node));
    return id >= INTERNED_FIXED_COUNT ? id : (uint32_t)INTERNED_NONE;
}

void native_dictionary_set_self(
    struct native_dictionary *dictionary, const Weft__V1__Hello *hello, const struct sender *sender)
{
    struct interner *interner = dictionary->context->interner;
    struct span_resource resource = {.service_name = slice_of_string(hello->workload),
        .service_namespace = slice_of_string(hello->workload_namespace)};
    struct service_ids before = dictionary->self;
    uint32_t instance_before = dictionary->instance;

    const struct context_resource *known = context_resource_of(dictionary->context, &resource, sender);

    dictionary->self = known->ids;
    dictionary->is_conflict = known->is_conflict;
    dictionary->instance = instance_of(dictionary->context, hello, sender);
    dictionary->start_unix_ns = hello->start_time_unix_ns;
    interner_ref(interner, dictionary->self.service);
    interner_ref(interner, dictionary->self.service_namespace);
    interner_ref(interner, dictionary->instance);
    interner_unref(interner, before.service);
    interner_unref(interner, before.service_namespace);
    interner_unref(interner, instance_before);
    identify_self(dictionary, &resource, sender);
}

/* Room for `count` strings in all. */
static int grow(struct native_dictionary *dictionary, uint32_t count)
{
    size_t before_bytes = dictionary->string_capacity * sizeof *dictionary->strings;
    uint32_t capacity = dictionary->string_capacity > 0 ? dictionary->string_capacity : STRINGS_CAPACITY_MIN;
    struct native_string *strings;

    if (count <= dictionary->string_capacity) {
        return 0;
    }
    while (capacity < count) {
        capacity *= 2; /* dictionary_count_max is far below where this would wrap */
    }
    if (!budget_reserve(dictionary->budget, capacity * sizeof *strings - before_bytes)) {
        return WERR_NOMEM;
    }
    strings = realloc(dictionary->strings, capacity * sizeof *strings);
    if (strings == NULL) {
        budget_release(dictionary->budget, capacity * sizeof *strings - before_bytes);
        return WERR_NOMEM;
    }
    dictionary->strings = strings;
    dictionary->string_capacity = capacity;
    return 0;
}

/* What looks like a path or URL loses its query here, once, so that no record has to be looked at again. */
static struct slice kept_text(struct slice text)
{
    bool is_path = text.length > 0 && text.ptr[0] == '/';
    size_t colon = slice_find(text, ':');

    if (!is_path && !slice_has_prefix(slice_sub(text, colon, text.length), SLICE_LITERAL("://"))) {
        return text;
    }
    return strip_query(text);
}

static void add_string(struct native_dictionary *dictionary, struct slice text)
{
    struct context *context = dictionary->context;
    struct native_string *string = &dictionary->strings[dictionary->string_count++];
    struct slice kept = kept_text(text);

    string->id = kept.length > 0 ? context_intern(context, kept) : INTERNED_NONE;
    string->method = (uint8_t)method_of(text);
    string->route_hash = route_hash(context->routes, interner_text(context->interner, string->id));
    interner_ref(context->interner, string->id);
    dictionary->overflowed_count += string->id == INTERNED_OVERFLOW;
}

int native_dictionary_add(struct native_dictionary *dictionary, const Weft__V1__Dictionary *frame)
{
    uint64_t count = (uint64_t)dictionary->string_count + frame->n_entries;
    int error;

    if (frame->first_id != dictionary->string_count + 1) {
        return WERR_DICTIONARY;
    }
    if (count > dictionary->context->limits->dictionary_count_max) {
        return WERR_FULL;
    }
    error = grow(dictionary, (uint32_t)count);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < frame->n_entries; i++) {
        add_string(dictionary, slice_of(frame->entries[i].data, frame->entries[i].len));
    }
    return 0;
}
