/*
 * weft-example: a small shop as its sidecars would report it, for trying the agent out.
 *
 *   weft-example [--socket PATH] [--rate SPANS_PER_SECOND] [--seconds N]
 *
 * Each request walks frontend → productpage → (details, reviews → ratings), cart or checkout → payments;
 * every hop is reported by its source and by its destination. Latencies are spread as real ones are, a few
 * calls fail, payments sometimes times out. Ends after N seconds or on SIGINT or SIGTERM, prints what became
 * of the spans, and exits 0 when all was acknowledged.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft/weft.h>

static volatile sig_atomic_t stop_requested;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
}

struct edge {
    const char *source;
    const char *destination;
    const char *route;
    const char *method;
    enum weft_protocol protocol;
    double median_ms;  /* of the latency without what it calls */
    double spread;     /* of its logarithm */
    double error_rate; /* of 5xx, or gRPC UNAVAILABLE */
    double missing_rate;
    int parent; /* index of the edge that leads here; -1: from outside */
    double probability;
};

static const struct edge edges[] = {
    {"external", "frontend", "/", "GET", WEFT_PROTOCOL_HTTP2, 1.5, 0.4, 0.0005, 0.001, -1, 1.0},
    {"frontend", "productpage", "/products/{id}", "GET", WEFT_PROTOCOL_HTTP1, 6, 0.5, 0.002, 0.01, 0, 0.7},
    {"productpage", "details", "/details/{id}", "GET", WEFT_PROTOCOL_HTTP1, 3, 0.3, 0.001, 0.005, 1, 1.0},
    {"productpage", "reviews", "/reviews/{id}", "GET", WEFT_PROTOCOL_HTTP1, 9, 0.7, 0.006, 0.002, 1, 0.9},
    {"reviews", "ratings", "/shop.Ratings/Get", "POST", WEFT_PROTOCOL_GRPC, 2, 0.4, 0.01, 0, 3, 0.8},
    {"frontend", "cart", "/cart/{user}", "POST", WEFT_PROTOCOL_HTTP1, 4, 0.4, 0.001, 0.02, 0, 0.2},
    {"frontend", "checkout", "/checkout", "POST", WEFT_PROTOCOL_HTTP1, 20, 0.6, 0.003, 0, 0, 0.1},
    {"checkout", "payments", "/pay.Payments/Charge", "POST", WEFT_PROTOCOL_GRPC, 80, 0.9, 0.03, 0, 6, 1.0},
};

enum { EDGE_COUNT = sizeof edges / sizeof edges[0] };

struct names {
    uint32_t source[EDGE_COUNT];
    uint32_t destination[EDGE_COUNT];
    uint32_t route[EDGE_COUNT];
    uint32_t method[EDGE_COUNT];
    uint32_t shop;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* In (0, 1). */
static double uniform(void)
{
    return ((double)(next_random() >> 11) + 0.5) / 9007199254740992.0;
}

/* Log-normal, by Box and Muller's method. */
static double latency_ms(const struct edge *edge)
{
    double normal = sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());

    return edge->median_ms * exp(edge->spread * normal);
}

static uint32_t intern(struct weft_client *client, const char *text)
{
    return weft_intern(client, text, strlen(text));
}

static void intern_names(struct weft_client *client, struct names *names)
{
    names->shop = intern(client, "shop");
    for (size_t i = 0; i < EDGE_COUNT; i++) {
        names->source[i] = intern(client, edges[i].source);
        names->destination[i] = intern(client, edges[i].destination);
        names->route[i] = intern(client, edges[i].route);
        names->method[i] = intern(client, edges[i].method);
    }
}

/* How the call ended: fills codes, flags and attempts. */
static void decide_outcome(const struct edge *edge, struct weft_span *span)
{
    double dice = uniform();
    bool failed = dice < edge->error_rate;

    span->attempts = failed ? 2 : 1;
    if (edge->protocol == WEFT_PROTOCOL_GRPC) {
        span->response_code = 200;
        span->grpc_status = failed ? 15 : 1; /* UNAVAILABLE + 1, OK + 1 */
        return;
    }
    span->response_code = failed ? 503 : dice < edge->error_rate + edge->missing_rate ? 404 : 200;
}

static void fill_random(uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i += 8) {
        uint64_t value = next_random();
        memcpy(bytes + i, &value, 8);
    }
}

/* One request from outside and all calls that it makes; returns how many spans were recorded. */
static uint64_t record_request(struct weft_client *client, const struct names *names,
    struct weft_histogram *basket, uint64_t now_unix_ns)
{
    uint8_t trace_id[16];
    uint8_t span_ids[EDGE_COUNT][8];
    bool called[EDGE_COUNT] = {false};
    uint64_t count = 0;

    fill_random(trace_id, sizeof trace_id);
    for (size_t i = 0; i < EDGE_COUNT; i++) {
        const struct edge *edge = &edges[i];
        called[i] = (edge->parent < 0 || called[edge->parent]) && uniform() < edge->probability;
        if (!called[i]) {
            continue;
        }
        struct weft_span span = {.source = names->source[i], .destination = names->destination[i]};
        span.source_namespace = edge->parent < 0 ? 0 : names->shop;
        span.destination_namespace = names->shop;
        span.route = names->route[i];
        span.method = names->method[i];
        span.protocol = (uint8_t)edge->protocol;
        span.duration_ns = (uint64_t)(latency_ms(edge) * 1e6);
        span.start_time_unix_ns = now_unix_ns - span.duration_ns;
        span.request_bytes = 200 + next_random() % 800;
        span.response_bytes = 500 + next_random() % 20000;
        decide_outcome(edge, &span);
        memcpy(span.trace_id, trace_id, sizeof trace_id);
        fill_random(span_ids[i], sizeof span_ids[i]);
        memcpy(span.span_id, span_ids[i], sizeof span.span_id);
        if (edge->parent >= 0) {
            memcpy(span.parent_id, span_ids[edge->parent], sizeof span.parent_id);
            span.reporter = WEFT_REPORTER_SOURCE;
            count += weft_record_span(client, &span) == 0;
            memcpy(span.parent_id, span.span_id, sizeof span.parent_id);
            fill_random(span.span_id, sizeof span.span_id);
        }
        span.reporter = WEFT_REPORTER_DESTINATION;
        span.attempts = 0;
        span.duration_ns -= span.duration_ns / 20;
        count += weft_record_span(client, &span) == 0;
        if (i == 6) {
            weft_histogram_record(basket, 5 + 100 * uniform());
        }
    }
    return count;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Keeps `rate` spans a second, in steps of 10 ms, until the time is over. */
static void run(struct weft_client *client, double rate, double seconds, struct weft_histogram *basket,
    struct weft_counter *orders)
{
    struct names names;
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t recorded = 0;
    const struct timespec step = {.tv_nsec = 10000000};

    intern_names(client, &names);
    while (!stop_requested) {
        double elapsed_s = (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) / 1e9;
        if (seconds > 0 && elapsed_s >= seconds) {
            return;
        }
        while ((double)recorded < elapsed_s * rate && !stop_requested) {
            uint64_t count = record_request(client, &names, basket, clock_ns(CLOCK_REALTIME));
            weft_counter_add(orders, 1);
            recorded += count > 0 ? count : 1;
        }
        nanosleep(&step, NULL);
    }
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--socket PATH] [--rate SPANS_PER_SECOND] [--seconds N]\n", program);
    return 2;
}

static bool parse_number(const char *text, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0) || isinf(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"socket", required_argument, NULL, 's'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct weft_options options;
    double rate = 1000;
    double seconds = 0;
    int option;

    weft_options_init(&options);
    options.workload = "weft-example";
    options.workload_namespace = "shop";
    options.close_timeout_ms = 5000;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 's') {
            options.socket_path = optarg;
        } else if ((option != 'r' || !parse_number(optarg, &rate)) &&
                   (option != 't' || !parse_number(optarg, &seconds))) {
            return usage(argv[0]);
        }
    }
    if (optind != argc) {
        return usage(argv[0]);
    }
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    random_state ^= clock_ns(CLOCK_REALTIME);

    struct weft_client *client;
    int error = weft_open(&options, &client);
    if (error != 0) {
        fprintf(
            stderr, "%s: cannot make a client (error %d); is --socket or WEFT_SOCKET set?\n", argv[0], error);
        return 1;
    }
    struct weft_histogram *basket;
    struct weft_counter *orders;
    const struct weft_metric basket_identity = {
        .name = "shop_basket_value", .unit = "", .help = "Value of a checked-out basket."};
    const struct weft_metric orders_identity = {.name = "shop_visits", .help = "Requests to the shop."};
    if (weft_histogram_new(client, &basket_identity, &basket) != 0 ||
        weft_counter_new(client, &orders_identity, &orders) != 0) {
        weft_close(client);
        return 1;
    }
    run(client, rate, seconds, basket, orders);
    error = weft_flush(client, options.close_timeout_ms);
    struct weft_stats stats;
    weft_stats(client, &stats);
    printf("recorded %" PRIu64 " acknowledged %" PRIu64 " rejected %" PRIu64 " dropped %" PRIu64
           " points %" PRIu64 "%s%s\n",
        stats.recorded_spans, stats.acknowledged_spans, stats.rejected_spans, stats.dropped_spans,
        stats.acknowledged_points, stats.last_error[0] != '\0' ? ": " : "", stats.last_error);
    weft_close(client);
    return error == 0 ? 0 : 1;
}
