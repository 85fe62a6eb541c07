/*
 * What libweft costs the thread that records: one span after the thread's first, one counter step, one
 * histogram value; beside clock_gettime as a reference of the same machine. Prints `name value unit` lines.
 *
 * Spans are recorded in rounds that fit the thread's buffer; between rounds, off the clock, the library's
 * thread gets time to drain it. No agent listens unless WEFT_SOCKET names one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weft/weft.h>

enum { ROUND_COUNT = 200, ROUND_SPANS = 4096, CALLS_COUNT = 2000000 };

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static void print(const char *name, double value, const char *unit)
{
    printf("%s %.2f %s\n", name, value, unit);
}

static void bench_clock(void)
{
    uint64_t sink = 0;
    uint64_t start_ns = now_ns();

    for (int i = 0; i < CALLS_COUNT; i++) {
        sink += now_ns();
    }
    print("clock_gettime", (double)(now_ns() - start_ns) / CALLS_COUNT, "ns");
    if (sink == 0) {
        puts("");
    }
}

static void bench_spans(struct weft_client *client)
{
    static double rounds[ROUND_COUNT];
    const struct timespec pause = {.tv_nsec = 15000000};
    struct weft_span span = {.trace_id = {1}, .span_id = {2}, .reporter = WEFT_REPORTER_SOURCE};
    uint64_t dropped = 0;

    span.destination = weft_intern(client, "reviews", 7);
    weft_record_span(client, &span);
    for (int round = 0; round < ROUND_COUNT; round++) {
        nanosleep(&pause, NULL);
        uint64_t start_ns = now_ns();
        for (uint32_t i = 0; i < ROUND_SPANS; i++) {
            span.duration_ns = i;
            dropped += weft_record_span(client, &span) != 0;
        }
        rounds[round] = (double)(now_ns() - start_ns) / ROUND_SPANS;
    }
    qsort(rounds, ROUND_COUNT, sizeof rounds[0], compare);
    print("record_span_p50", rounds[ROUND_COUNT / 2], "ns");
    print("record_span_p99", rounds[ROUND_COUNT * 99 / 100], "ns");
    print("record_span_dropped", (double)dropped, "spans");
}

static void bench_metrics(struct weft_client *client)
{
    struct weft_counter *counter;
    struct weft_histogram *histogram;
    const struct weft_metric identity = {.name = "bench"};

    if (weft_counter_new(client, &identity, &counter) != 0 ||
        weft_histogram_new(client, &identity, &histogram) != 0) {
        return;
    }
    uint64_t start_ns = now_ns();
    for (int i = 0; i < CALLS_COUNT; i++) {
        weft_counter_add(counter, 1);
    }
    print("counter_add", (double)(now_ns() - start_ns) / CALLS_COUNT, "ns");
    start_ns = now_ns();
    for (int i = 0; i < CALLS_COUNT; i++) {
        weft_histogram_record(histogram, 1e-6 * (double)(i % 100000 + 1));
    }
    print("histogram_record", (double)(now_ns() - start_ns) / CALLS_COUNT, "ns");
}

int main(void)
{
    struct weft_options options;
    struct weft_client *client;

    weft_options_init(&options);
    options.backlog_bytes_max = 268435456;
    options.close_timeout_ms = 10;
    if (getenv("WEFT_SOCKET") == NULL) {
        options.socket_path = "/nonexistent/weft.sock";
    }
    if (weft_open(&options, &client) != 0) {
        fputs("client_bench: cannot make a client\n", stderr);
        return 1;
    }
    bench_clock();
    bench_spans(client);
    bench_metrics(client);
    weft_close(client);
    return 0;
}
