/* See demo_mesh.h. */
#include "cli/demo_mesh.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { PROXY_SPANS = 2048, POD_BYTES = 64 };

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t intern(struct weft_client *client, const char *text)
{
    return weft_intern(client, text, strlen(text));
}

static void intern_names(struct demo_proxy *proxy)
{
    for (unsigned i = 0; i < DEMO_SERVICE_COUNT; i++) {
        proxy->services[i] = intern(proxy->client, demo_services[i].name);
        proxy->spaces[i] = intern(proxy->client, demo_services[i].space);
    }
    proxy->services[DEMO_OUTSIDE] = intern(proxy->client, "external");
    assert(demo_operation_count <= DEMO_OPERATIONS_MAX);
    for (size_t i = 0; i < demo_operation_count; i++) {
        proxy->routes[i] = intern(proxy->client, demo_operations[i].route);
        proxy->methods[i] = intern(proxy->client, demo_operations[i].method);
    }
}

static int open_proxy(struct demo_proxy *proxy, uint8_t instance, const char *socket_path)
{
    uint8_t replica;
    const struct demo_service *service = &demo_services[demo_instance_service(instance, &replica)];
    struct weft_options options;
    char pod[POD_BYTES];

    (void)snprintf(pod, sizeof pod, "%s-%u", service->name, replica);
    weft_options_init(&options);
    options.socket_path = socket_path;
    options.node = pod;
    options.workload = service->name;
    options.workload_namespace = service->space;
    options.thread_spans_count = PROXY_SPANS;
    options.close_timeout_ms = 0; /* demo_mesh_flush has waited */
    int error = weft_open(&options, &proxy->client);
    if (error == 0) {
        intern_names(proxy);
    }
    return error;
}

int demo_mesh_open(struct demo_mesh *mesh, const char *socket_path)
{
    int error = 0;

    *mesh = (struct demo_mesh){.proxy_count = 0};
    assert(demo_instance_count() <= WEFT_CLIENTS_COUNT_MAX);
    if (getrandom(&mesh->random, sizeof mesh->random, 0) != (ssize_t)sizeof mesh->random) {
        mesh->random = clock_ms(CLOCK_REALTIME);
    }
    mesh->random |= 1;
    while (error == 0 && mesh->proxy_count < demo_instance_count()) {
        error = open_proxy(&mesh->proxies[mesh->proxy_count], (uint8_t)mesh->proxy_count, socket_path);
        mesh->proxy_count += error == 0;
    }
    return error;
}

/* Never 0. xorshift64 (Marsaglia, 2003): ids need to differ, no more. */
static uint64_t next_id(struct demo_mesh *mesh)
{
    mesh->random ^= mesh->random << 13;
    mesh->random ^= mesh->random >> 7;
    mesh->random ^= mesh->random << 17;
    return mesh->random;
}

static void fill(const struct demo_proxy *proxy, const struct demo_span *from, struct weft_span *to)
{
    const struct demo_operation *operation = &demo_operations[from->operation];

    to->source = proxy->services[from->source];
    to->source_namespace = proxy->spaces[from->source];
    to->destination = proxy->services[operation->service];
    to->destination_namespace = proxy->spaces[operation->service];
    to->route = proxy->routes[from->operation];
    to->method = proxy->methods[from->operation];
    to->protocol = operation->protocol;
    to->reporter = from->reporter;
    to->duration_ns = from->duration_ns;
    to->response_flags = from->flags;
    to->response_code = from->response_code;
    to->grpc_status = from->grpc_status;
    to->attempts = from->attempts;
    to->request_bytes = from->request_bytes;
    to->response_bytes = from->response_bytes;
}

void demo_mesh_record(struct demo_mesh *mesh, const struct demo_request *request, uint64_t end_unix_ns)
{
    uint64_t ids[DEMO_SPANS_MAX];
    uint64_t trace[2] = {next_id(mesh), next_id(mesh)};

    for (uint32_t i = 0; i < request->span_count; i++) {
        const struct demo_span *from = &request->spans[i];
        const struct demo_proxy *proxy = &mesh->proxies[from->instance];
        struct weft_span span = {.start_time_unix_ns = end_unix_ns - request->duration_ns + from->start_ns};
        ids[i] = next_id(mesh);
        memcpy(span.trace_id, trace, sizeof span.trace_id);
        memcpy(span.span_id, &ids[i], sizeof span.span_id);
        if (from->parent >= 0) {
            memcpy(span.parent_id, &ids[from->parent], sizeof span.parent_id);
        }
        fill(proxy, from, &span);
        (void)weft_record_span(proxy->client, &span); /* libweft counts what it drops */
        mesh->sent_spans++;
    }
}

void demo_mesh_tally(const struct demo_mesh *mesh, struct demo_tally *ret_tally)
{
    struct weft_stats stats;

    *ret_tally = (struct demo_tally){.sent_spans = mesh->sent_spans};
    for (uint32_t i = 0; i < mesh->proxy_count; i++) {
        weft_stats(mesh->proxies[i].client, &stats);
        ret_tally->acknowledged_spans += stats.acknowledged_spans;
        ret_tally->rejected_spans += stats.rejected_spans;
        ret_tally->dropped_spans += stats.dropped_spans;
        ret_tally->connected_count += stats.connected;
        if (stats.last_error[0] != '\0') {
            (void)snprintf(ret_tally->last_error, sizeof ret_tally->last_error, "%s", stats.last_error);
        }
    }
}

void demo_mesh_flush(struct demo_mesh *mesh, uint32_t timeout_ms)
{
    uint64_t end_ms = clock_ms(CLOCK_MONOTONIC) + timeout_ms;

    for (uint32_t i = 0; i < mesh->proxy_count; i++) {
        uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        /* The tally tells what was not acknowledged. */
        (void)weft_flush(mesh->proxies[i].client, now_ms < end_ms ? (uint32_t)(end_ms - now_ms) : 0);
    }
}

void demo_mesh_close(struct demo_mesh *mesh)
{
    if (mesh == NULL) {
        return;
    }
    for (uint32_t i = 0; i < mesh->proxy_count; i++) {
        (void)weft_close(mesh->proxies[i].client);
    }
    mesh->proxy_count = 0;
}
