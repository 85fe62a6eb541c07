/* Jaeger's dependencies; see query_dependencies.h. */
#include "query/query_dependencies.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/view.h"
#include "core/error.h"
#include "query/trace_jaeger.h"

enum {
    STATUS_OK = 200,
    STATUS_BAD_REQUEST = 400,
    STATUS_INTERNAL_ERROR = 500,
    LINKS_COUNT_MAX = 20000,
    LINKS_COUNT_FIRST = 64,
    LINK_TEXT_BYTES = 520, /* a service and its namespace */
};

struct link {
    char parent[LINK_TEXT_BYTES];
    char child[LINK_TEXT_BYTES];
    uint64_t counts[REPORTER_COUNT];
};

struct links {
    struct link *items;
    size_t count;
};

static bool is_known(struct slice name)
{
    return name.length > 0 && !slice_equal(name, SLICE_LITERAL("unknown")) &&
           !slice_equal(name, SLICE_LITERAL("_overflow"));
}

static void put_name(
    struct buffer *scratch, char to[static LINK_TEXT_BYTES], struct slice name, struct slice space)
{
    scratch->length = 0;
    scratch->error = 0;
    trace_service_name_of(scratch, name, is_known(space) ? space : slice_of(NULL, 0));
    size_t length = scratch->length < LINK_TEXT_BYTES ? scratch->length : LINK_TEXT_BYTES - 1;
    memcpy(to, scratch->data, length);
    to[length] = '\0';
}

static struct link *add_link(struct links *links)
{
    size_t count = links->count;

    if (count == LINKS_COUNT_MAX) {
        return NULL;
    }
    if (count == 0 || (count >= LINKS_COUNT_FIRST && (count & (count - 1)) == 0)) {
        struct link *grown =
            realloc(links->items, (count == 0 ? LINKS_COUNT_FIRST : 2 * count) * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        links->items = grown;
    }
    links->items[links->count] = (struct link){.parent = ""};
    return &links->items[links->count++];
}

static void take_edge(struct links *links, struct buffer *scratch, const struct edge_view *edge)
{
    uint64_t total = 0;

    if (edge->is_scraped || !is_known(edge->source) || !is_known(edge->destination)) {
        return;
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        total += edge->values.outcomes[i];
    }
    struct link *link = total > 0 ? add_link(links) : NULL;
    if (link != NULL) {
        put_name(scratch, link->parent, edge->source, edge->source_namespace);
        put_name(scratch, link->child, edge->destination, edge->destination_namespace);
        link->counts[edge->reporter] = total;
    }
}

static int compare_links(const void *left, const void *right)
{
    const struct link *a = left;
    const struct link *b = right;
    int order = strcmp(a->parent, b->parent);

    return order != 0 ? order : strcmp(a->child, b->child);
}

/* What several reporters say of one pair becomes one. */
static void unite(struct links *links)
{
    size_t kept = 0;

    if (links->count > 1) {
        qsort(links->items, links->count, sizeof links->items[0], compare_links);
    }
    for (size_t i = 0; i < links->count; i++) {
        if (kept == 0 || compare_links(&links->items[kept - 1], &links->items[i]) != 0) {
            links->items[kept++] = links->items[i];
            continue;
        }
        for (int r = 0; r < REPORTER_COUNT; r++) {
            links->items[kept - 1].counts[r] += links->items[i].counts[r];
        }
    }
    links->count = kept;
}

static uint64_t count_of(const struct link *link)
{
    for (int r = 0; r < REPORTER_COUNT; r++) {
        if (link->counts[r] > 0) {
            return link->counts[r]; /* the source is the first */
        }
    }
    return 0;
}

static void write_links(struct buffer *out, const struct links *links, struct slice service)
{
    (void)buffer_append_text(out, "{\"data\":");
    struct json_list list = json_list_begin(out, '[');
    for (size_t i = 0; i < links->count; i++) {
        const struct link *link = &links->items[i];
        struct slice parent = slice_of_string(link->parent);
        struct slice child = slice_of_string(link->child);
        if (service.length > 0 && !slice_equal(parent, service) && !slice_equal(child, service)) {
            continue;
        }
        json_list_next(&list);
        struct json_list object = json_list_begin(out, '{');
        json_list_key(&object, "parent");
        json_put_text(out, parent);
        json_list_key(&object, "child");
        json_put_text(out, child);
        json_list_key(&object, "callCount");
        (void)buffer_append_format(out, "%" PRIu64, count_of(link));
        json_list_end(&object, '}');
    }
    json_list_end(&list, ']');
    (void)buffer_append_text(out, ",\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n");
}

static enum window_span window_for(uint64_t lookback_ns)
{
    static const uint64_t seconds[WINDOW_SPAN_COUNT] = {
        [WINDOW_10S] = 10, [WINDOW_1M] = 60, [WINDOW_5M] = 300, [WINDOW_15M] = 900, [WINDOW_1H] = 3600};

    for (int span = 0; span < WINDOW_SPAN_COUNT; span++) {
        if (lookback_ns / 1000000000u <= seconds[span]) {
            return (enum window_span)span;
        }
    }
    return WINDOW_1H;
}

bool query_dependencies_knows(const char *path)
{
    return trace_endpoint_of(path) == TRACE_ENDPOINT_JAEGER_DEPENDENCIES;
}

unsigned query_dependencies_run(const struct query_sources *sources, const char *path,
    const struct query_argument *arguments, size_t argument_count, struct buffer *out)
{
    struct trace_query query;
    struct edge_view edge;
    struct links links = {.count = 0};
    struct buffer scratch;
    uint32_t cursor = 0;

    if (trace_query_parse(&query, path, arguments, argument_count, clock_unix_ns(sources->clock)) < 0) {
        trace_error(out, &query, STATUS_BAD_REQUEST, query.message);
        return STATUS_BAD_REQUEST;
    }
    struct histogram_flat *flat = calloc(1, sizeof *flat);
    if (flat == NULL) {
        trace_error(out, &query, STATUS_INTERNAL_ERROR, "out of memory");
        return STATUS_INTERNAL_ERROR;
    }
    enum window_span span = window_for(query.start_max_unix_ns - query.start_min_unix_ns);
    buffer_init(&scratch, 1 << 16);
    while (aggregator_next_edge(sources->aggregator, &cursor, span, flat, &edge) > 0) {
        take_edge(&links, &scratch, &edge);
    }
    unite(&links);
    write_links(out, &links, query.service);
    buffer_deinit(&scratch);
    free(links.items);
    free(flat);
    return STATUS_OK;
}
