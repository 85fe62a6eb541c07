/*
 * Naming profiles: from requests to the expositions that other people's tools read, byte for byte (after a
 * wanted change run this with WEFT_GOLDEN_UPDATE=1 and read the difference), and what must hold for any
 * requests.
 */
#include "fixture.h"

#include "context/context.h"
#include "context/identity.h"
#include "context/response_flags.h"
#include "core/buffer.h"
#include "decode/span.h"
#include "exporters/prometheus/prometheus_exporter.h"

#define GOLDEN_DIR WEFT_SOURCE_DIR "/tests/golden/profiles/"

enum { ALL_PROFILES = (1 << PROFILE_COUNT) - 1, GOLDEN_BYTES_MAX = 1 << 20, TEXT_BYTES_MAX = 256 << 20 };

struct rig {
    struct fixture fixture; /* first member */
    struct context *context;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    rig->context = calloc(1, sizeof(*rig->context));
    assert_non_null(rig->context);
    limits_init(&rig->fixture.limits);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    context_deinit(rig->context);
    free(rig->context);
    fixture_stop(&rig->fixture);
    free(rig);
    return 0;
}

static void start(struct rig *rig, uint32_t profiles, enum profile_graph_side side)
{
    struct fixture *f = &rig->fixture;

    f->profiles = (struct profile_settings){.profiles = profiles, .graph_side = side};
    fixture_start(f, 1);
    assert_int_equal(context_init(rig->context, f->interners[0], &f->limits, f->shard_cells[0]), 0);
    rig->context->profiles = profiles;
    rig->context->cluster = SLICE_LITERAL("east");
    context_batch_begin(rig->context, true, f->clock.now_monotonic_ns);
}

static uint32_t id_of(struct rig *rig, const char *text)
{
    return context_intern(rig->context, slice_of_string(text));
}

/* The texts of one profile's exposition; the caller frees them. */
static char *expose(struct rig *rig, enum profile profile, const struct encoder_type *encoder)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct encoder_options options = {
        .classic_histograms = true, .native_histograms = true, .created = true, .exemplars = true};
    struct snapshot *snapshot = NULL;
    struct buffer out;
    void *encoding = NULL;
    int more = 1;

    buffer_init(&out, TEXT_BYTES_MAX);
    assert_int_equal(
        aggregator_profile_snapshot_new(rig->fixture.aggregator, profile, &settings, &snapshot), 0);
    assert_int_equal(encoder->open(&options, &out, &encoding), 0);
    while (more > 0) {
        more = encoder->step(encoding, snapshot, 3);
    }
    assert_int_equal(more, 0);
    encoder->close(encoding);
    aggregator_snapshot_free(snapshot);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    return (char *)out.data;
}

/* ---- the story that the golden files tell ---- */

static const struct identity productpage = {.workload = {(const uint8_t *)"productpage-v1", 14},
    .workload_namespace = {(const uint8_t *)"shop", 4},
    .principal = {(const uint8_t *)"spiffe://cluster.local/ns/shop/sa/productpage", 45},
    .app = {(const uint8_t *)"productpage", 11},
    .version = {(const uint8_t *)"v1", 2},
    .canonical_service = {(const uint8_t *)"productpage", 11},
    .canonical_revision = {(const uint8_t *)"v1", 2},
    .pod = {(const uint8_t *)"productpage-v1-6b746f74dc-9rlmh", 31}};

static struct identity reviews(const char *workload, const char *version)
{
    return (struct identity){.workload = slice_of_string(workload),
        .workload_namespace = SLICE_LITERAL("shop"),
        .app = SLICE_LITERAL("reviews"),
        .version = slice_of_string(version),
        .canonical_service = SLICE_LITERAL("reviews"),
        .canonical_revision = slice_of_string(version),
        .cluster = SLICE_LITERAL("west"),
        .pod = SLICE_LITERAL("reviews-0")};
}

static struct request call_reviews(
    struct rig *rig, enum reporter reporter, const struct identity *destination, uint64_t duration_ns)
{
    struct request request =
        fixture_request(&rig->fixture, 0, "web", "productpage", "reviews", "/reviews/{id}");
    enum connection_security security =
        reporter == REPORTER_DESTINATION ? SECURITY_MUTUAL_TLS : SECURITY_UNKNOWN;

    request.reporter = (uint8_t)reporter;
    request.signal = REQUEST_FROM_LOG;
    request.duration_ns = duration_ns;
    request.first_byte_ns = duration_ns / 2;
    request.parties = context_identify(rig->context, reporter, &productpage, destination, security);
    return request;
}

static void record(struct rig *rig, const struct request *request)
{
    directory_record(rig->fixture.directories[0], request);
}

static void record_successes(struct rig *rig)
{
    static const uint64_t durations_ms[] = {3, 7, 120};
    const struct identity versions[] = {reviews("reviews-v1", "v1"), reviews("reviews-v2", "v2")};

    for (size_t i = 0; i < sizeof durations_ms / sizeof durations_ms[0]; i++) {
        for (size_t v = 0; v < 2; v++) {
            for (int side = REPORTER_SOURCE; side <= REPORTER_DESTINATION; side++) {
                struct request request =
                    call_reviews(rig, (enum reporter)side, &versions[v], durations_ms[i] * MS_NS);

                request.has_bytes = true;
                request.request_bytes = 0;
                request.response_bytes = 375 + i;
                record(rig, &request);
            }
        }
    }
}

static void record_failures(struct rig *rig)
{
    const struct identity unknown = {.workload = {.length = 0}};
    const struct identity v2 = reviews("reviews-v2", "v2");
    struct request unreachable = call_reviews(rig, REPORTER_SOURCE, &unknown, 2 * MS_NS);
    struct request unavailable = call_reviews(rig, REPORTER_DESTINATION, &v2, 40 * MS_NS);
    struct request cancelled = call_reviews(rig, REPORTER_DESTINATION, &v2, 5000 * MS_NS);

    unreachable.response_code = 503;
    unreachable.outcome = OUTCOME_SERVER_ERROR;
    unreachable.response_flags = RESPONSE_FLAG(UF) | RESPONSE_FLAG(URX);
    unavailable.protocol = PROTOCOL_GRPC;
    unavailable.grpc_status = 14;
    unavailable.outcome = OUTCOME_SERVER_ERROR;
    cancelled.response_code = 0;
    cancelled.first_byte_ns = 0;
    cancelled.outcome = OUTCOME_CANCELLED;
    cancelled.response_flags = RESPONSE_FLAG(DC);
    record(rig, &unreachable);
    record(rig, &unavailable);
    record(rig, &cancelled);
}

/* An SDK's spans, sampled one in four: nobody's workload is known, the source not at all. */
static void record_spans(struct rig *rig)
{
    const struct identity unknown = {.workload = {.length = 0}};

    for (int i = 0; i < 4; i++) {
        struct request request =
            fixture_request(&rig->fixture, 0, "sdk", "unknown", "ratings", "/ratings/{id}");

        request.reporter = REPORTER_DESTINATION;
        request.source_namespace = INTERNED_UNKNOWN;
        request.weight = 4 * WEIGHT_ONE;
        request.duration_ns = 20 * MS_NS;
        request.operation = id_of(rig, "GET /ratings/{id}");
        request.record_bytes = 512;
        request.span_kind = SPAN_KIND_SERVER;
        request.span_status = i == 0 ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
        request.response_code = i == 0 ? 500 : 200;
        request.outcome = i == 0 ? OUTCOME_SERVER_ERROR : OUTCOME_OK;
        request.scheme = SCHEME_HTTPS;
        request.stored = true;
        memset(request.trace_id, 0x11 + i, sizeof request.trace_id);
        memset(request.span_id, 0x22, sizeof request.span_id);
        request.parties =
            context_identify(rig->context, REPORTER_DESTINATION, &unknown, &unknown, SECURITY_UNKNOWN);
        record(rig, &request);
    }
}

static void record_others(struct rig *rig)
{
    const struct identity v1 = reviews("reviews-v1", "v1");
    struct request outside =
        call_reviews(rig, REPORTER_SOURCE, &(struct identity){.pod = {.length = 0}}, MS_NS);
    struct request names = call_reviews(rig, REPORTER_DESTINATION, &v1, MS_NS);
    struct connection connection = {.reporter = REPORTER_DESTINATION,
        .source = names.source,
        .source_namespace = names.source_namespace,
        .destination = names.destination,
        .destination_namespace = names.destination_namespace,
        .sent_bytes = 1000,
        .received_bytes = 70,
        .duration_ns = 250 * MS_NS,
        .sender = names.sender,
        .parties = names.parties};

    outside.destination = outside.destination_namespace = INTERNED_EXTERNAL;
    outside.server_port = 443;
    outside.scheme = SCHEME_HTTPS;
    outside.method = METHOD_OTHER;
    outside.response_code = 404;
    outside.outcome = OUTCOME_CLIENT_ERROR;
    record(rig, &outside);
    directory_record_connection(rig->fixture.directories[0], &connection);
    connection.duration_ns = 0; /* not told: a connection without a duration, not one of 0 ms */
    directory_record_connection(rig->fixture.directories[0], &connection);
}

static void tell_story(struct rig *rig)
{
    record_successes(rig);
    record_failures(rig);
    record_spans(rig);
    record_others(rig);
    clock_manual_advance(&rig->fixture.clock, SECOND_NS);
    fixture_flip_all(&rig->fixture);
}

static void check_golden(const char *name, const char *text)
{
    static char expected[GOLDEN_BYTES_MAX];
    char path[512];

    assert_in_range(snprintf(path, sizeof path, "%s%s.txt", GOLDEN_DIR, name), 1, sizeof path - 1);
    if (getenv("WEFT_GOLDEN_UPDATE") != NULL) {
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    size_t length = fread(expected, 1, sizeof expected - 1, file);
    assert_int_equal(fclose(file), 0);
    expected[length] = '\0';
    if (strcmp(expected, text) != 0) {
        fail_msg("%s differs from:\n%s", path, text);
    }
}

static void the_expositions_are_these(void **state)
{
    struct rig *rig = *state;

    start(rig, ALL_PROFILES, PROFILE_GRAPH_DESTINATION);
    tell_story(rig);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        char *text = expose(rig, (enum profile)p, &prometheus_openmetrics);

        check_golden(profile_rows[p].name, text);
        free(text);
    }
    assert_int_equal(metric_registry_sum(&rig->fixture.registry, METRIC_PROFILE_RECORDS_LOST), 0);
    fixture_check_ledger(&rig->fixture);
}

/* ---- what holds for any requests ---- */

/* The sum of a family's samples whose lines contain every part. */
static double sum_of(const char *text, const char *family, const char *const *parts)
{
    size_t length = strlen(family);
    double sum = 0;

    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char copy[4096];
        size_t line_length = strcspn(line, "\n");

        assert_true(line_length < sizeof copy);
        memcpy(copy, line, line_length);
        copy[line_length] = '\0';
        if (strncmp(copy, family, length) != 0 || (copy[length] != '{' && copy[length] != ' ')) {
            continue;
        }
        bool fits = true;
        for (size_t i = 0; parts != NULL && parts[i] != NULL; i++) {
            fits = fits && strstr(copy, parts[i]) != NULL;
        }
        sum += fits ? strtod(strrchr(copy, ' ') + 1, NULL) : 0;
    }
    return sum;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No sample's name and labels come twice: Prometheus would keep one of the two and drop the other. */
static void check_no_line_twice(char *text)
{
    static char *lines[1 << 20];
    size_t count = 0;

    for (char *line = strtok_r(text, "\n", &text); line != NULL; line = strtok_r(NULL, "\n", &text)) {
        char *space = strrchr(line, ' ');

        if (line[0] != '#') {
            assert_true(count < sizeof lines / sizeof lines[0]);
            *space = '\0';
            lines[count++] = line;
        }
    }
    assert_true(count > 100);
    qsort(lines, count, sizeof lines[0], compare_lines);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(lines[i - 1], lines[i]) == 0) {
            fail_msg("twice: %s", lines[i]);
        }
    }
}

static uint32_t pick(uint32_t *seed, uint32_t count)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % count;
}

static struct slice pick_text(uint32_t *seed)
{
    static const char *const texts[] = {"", "unknown", "reviews", "v1", "a\x1f.b", "q\"uote\\", "north"};

    return slice_of_string(texts[pick(seed, sizeof texts / sizeof texts[0])]);
}

static struct identity pick_identity(uint32_t *seed)
{
    struct identity identity = {.pod = {.length = 0}};
    struct slice *fields[] = {&identity.workload, &identity.workload_namespace, &identity.principal,
        &identity.app, &identity.version, &identity.canonical_service, &identity.canonical_revision,
        &identity.cluster, &identity.pod};

    if (pick(seed, 4) != 0) {
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
            *fields[i] = pick(seed, 3) == 0 ? pick_text(seed) : slice_of(NULL, 0);
        }
    }
    return identity;
}

static uint32_t pick_service(struct rig *rig, uint32_t *seed)
{
    static const uint32_t fixed[] = {INTERNED_NONE, INTERNED_UNKNOWN, INTERNED_EXTERNAL};

    return pick(seed, 3) == 0 ? fixed[pick(seed, 3)] : id_of(rig, pick(seed, 2) == 0 ? "reviews" : "ratings");
}

static struct request pick_request(struct rig *rig, uint32_t *seed)
{
    struct request request = fixture_request(&rig->fixture, 0, "web", "a", "b", "/c");
    struct identity source = pick_identity(seed);
    struct identity destination = pick_identity(seed);

    request.reporter = (uint8_t)pick(seed, REPORTER_COUNT);
    request.source = pick_service(rig, seed);
    request.destination = pick_service(rig, seed);
    request.source_namespace = pick_service(rig, seed);
    request.destination_namespace = pick_service(rig, seed);
    request.route = pick(seed, 3) == 0 ? (uint32_t)INTERNED_UNKNOWN : id_of(rig, "/reviews");
    request.operation = pick(seed, 2) == 0 ? (uint32_t)INTERNED_NONE : id_of(rig, "GET");
    request.protocol = (uint8_t)pick(seed, PROTOCOL_COUNT);
    request.method = (uint8_t)pick(seed, METHOD_COUNT);
    request.outcome = (uint8_t)pick(seed, OUTCOME_COUNT);
    request.signal = (uint8_t)pick(seed, 2);
    request.response_code = (uint16_t)(pick(seed, 4) * 200);
    request.grpc_status = (int16_t)((int)pick(seed, 3) - 1);
    request.response_flags = pick(seed, 3) == 0 ? pick(seed, 1 << 20) & pick(seed, 1 << 20) : 0;
    request.has_bytes = pick(seed, 2) == 0;
    request.request_bytes = pick(seed, 10) == 0 ? UINT64_MAX >> 16 : pick(seed, 10000);
    request.duration_ns = (uint64_t)pick(seed, 1 << 20) * 1000;
    request.first_byte_ns = pick(seed, 2) * request.duration_ns;
    request.server_port = (uint16_t)(pick(seed, 3) * 32000);
    request.scheme = (uint8_t)pick(seed, SCHEME_COUNT);
    request.span_kind = (uint8_t)pick(seed, 6);
    request.span_status = (uint8_t)pick(seed, 3);
    request.record_bytes = pick(seed, 2) * 100;
    request.parties = context_identify(rig->context, (enum reporter)request.reporter, &source, &destination,
        (enum connection_security)pick(seed, SECURITY_COUNT));
    return request;
}

static void no_label_set_comes_twice(void **state)
{
    enum { REQUESTS = 6000 };
    struct rig *rig = *state;
    unsigned http_count = 0;
    uint32_t seed = 20261123;

    rig->fixture.limits.series_count_max = 200000;
    rig->fixture.limits.sender_series_percent = 100;
    rig->fixture.limits.series_bytes_max = 1ull << 30;
    start(rig, ALL_PROFILES, PROFILE_GRAPH_DESTINATION);
    for (int i = 0; i < REQUESTS; i++) {
        struct request request = pick_request(rig, &seed);

        http_count += request.protocol != PROTOCOL_TCP &&
                      (request.protocol != PROTOCOL_UNKNOWN || request.method != METHOD_NONE ||
                          request.response_code != 0);
        record(rig, &request);
    }
    fixture_flip_all(&rig->fixture);
    assert_int_equal(metric_registry_sum(&rig->fixture.registry, METRIC_PROFILE_RECORDS_LOST), 0);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        char *text = expose(rig, (enum profile)p, &prometheus_text);

        if (p == PROFILE_ISTIO) {
            assert_true(sum_of(text, "istio_requests_total", NULL) == http_count);
        }
        if (p != PROFILE_SERVICEGRAPH) {
            check_no_line_twice(text);
        }
        free(text);
    }
}

/* Cut at every place, with a merge in between: each series comes once, and a scrape ends. */
static void values_add_up_over_intervals(void **state)
{
    struct rig *rig = *state;
    const struct identity v1 = reviews("reviews-v1", "v1");

    start(rig, PROFILE_BIT(ISTIO), PROFILE_GRAPH_DESTINATION);
    for (int i = 0; i < 3; i++) {
        struct request request = call_reviews(rig, REPORTER_DESTINATION, &v1, 300 * MS_NS);

        request.has_bytes = true;
        request.request_bytes = 1000000;
        record(rig, &request);
        fixture_advance(&rig->fixture, 10 * SECOND_NS);
    }
    char *text = expose(rig, PROFILE_ISTIO, &prometheus_text);
    const char *const *le_250 = PARTS("le=\"250\"");
    const char *const *le_500 = PARTS("le=\"500\"");
    const char *const *le_600000 = PARTS("le=\"600000\"");
    const char *const *le_1800000 = PARTS("le=\"1.8e+06\"");

    assert_true(sum_of(text, "istio_requests_total", PARTS("destination_workload=\"reviews-v1\"")) == 3);
    assert_true(sum_of(text, "istio_request_duration_milliseconds_bucket", le_250) == 0);
    assert_true(sum_of(text, "istio_request_duration_milliseconds_bucket", le_500) == 3);
    assert_true(sum_of(text, "istio_request_duration_milliseconds_sum", NULL) == 900);
    assert_true(sum_of(text, "istio_request_bytes_bucket", le_600000) == 0);
    assert_true(sum_of(text, "istio_request_bytes_bucket", le_1800000) == 3);
    assert_true(sum_of(text, "istio_request_bytes_sum", NULL) == 3000000);
    free(text);
}

/* Ours stay as they are: their own bounds, and no series of a profile among them. */
static void our_own_families_do_not_change(void **state)
{
    struct rig *rig = *state;

    start(rig, ALL_PROFILES, PROFILE_GRAPH_DESTINATION);
    tell_story(rig);
    struct found requests = fixture_find(&rig->fixture, "mesh_requests", NULL);
    struct found durations = fixture_find(&rig->fixture, "mesh_request_duration_seconds", NULL);

    assert_int_equal(requests.sum, 12 + 3 + 16 + 1);
    assert_int_equal(durations.sum, requests.sum);
    assert_int_equal(durations.histogram.bound_count, bounds_default_count);
    assert_int_equal(fixture_find(&rig->fixture, "istio_requests", NULL).series, 0);
    assert_int_equal(fixture_find(&rig->fixture, "mesh_tcp_connections_closed", NULL).sum, 2);
}

static void a_disabled_profile_costs_no_series(void **state)
{
    struct rig *rig = *state;
    const struct identity v1 = reviews("reviews-v1", "v1");

    start(rig, 0, PROFILE_GRAPH_DESTINATION);
    struct request request = call_reviews(rig, REPORTER_DESTINATION, &v1, MS_NS);

    assert_int_equal(request.parties.destination_identity, INTERNED_NONE);
    record(rig, &request);
    fixture_flip_all(&rig->fixture);
    assert_int_equal(aggregator_series_count(rig->fixture.aggregator), 3); /* requests, duration, traffic */
}

/* Past the limit the families that are ours go on, in overflow; a profile's part is lost and counted. */
static void what_a_profile_leaves_out_is_counted(void **state)
{
    struct rig *rig = *state;
    struct fixture *f = &rig->fixture;

    f->limits.series_count_max = 64;
    f->limits.sender_series_percent = 100;
    start(rig, PROFILE_BIT(SPANMETRICS), PROFILE_GRAPH_DESTINATION);
    for (int i = 0; i < 200; i++) {
        char route[32];

        (void)snprintf(route, sizeof route, "/route-%d", i);
        struct request request = fixture_request(f, 0, "web", "productpage", "reviews", route);

        record(rig, &request);
    }
    fixture_flip_all(f);
    char *text = expose(rig, PROFILE_SPANMETRICS, &prometheus_text);
    double shown = sum_of(text, "traces_span_metrics_calls_total", NULL);

    assert_true(shown > 0 && shown < 200);
    assert_int_equal((uint64_t)shown + metric_registry_sum(&f->registry, METRIC_PROFILE_RECORDS_LOST), 200);
    assert_int_equal(fixture_find(f, "mesh_requests", NULL).sum, 200);
    fixture_check_ledger(f);
    free(text);
}

/* Idle series go, and their strings with them; fixture_stop finds every byte given back. */
static void idle_series_expire(void **state)
{
    struct rig *rig = *state;
    struct fixture *f = &rig->fixture;

    f->limits.series_idle_s = 60;
    start(rig, ALL_PROFILES, PROFILE_GRAPH_DESTINATION);
    tell_story(rig);
    assert_true(aggregator_series_count(f->aggregator) > 20);
    for (int i = 0; i < 20; i++) {
        fixture_advance(f, 10 * SECOND_NS);
    }
    assert_int_equal(aggregator_series_count(f->aggregator), 0);
    char *text = expose(rig, PROFILE_ISTIO, &prometheus_text);

    assert_string_equal(text, "");
    free(text);
}

static void the_graph_counts_one_side(void **state)
{
    struct rig *rig = *state;
    const struct identity v1 = reviews("reviews-v1", "v1");

    start(rig, PROFILE_BIT(SERVICEGRAPH), PROFILE_GRAPH_SOURCE);
    for (int side = REPORTER_SOURCE; side < REPORTER_COUNT; side++) {
        struct request request =
            call_reviews(rig, (enum reporter)side, &v1, (uint64_t)(side + 1) * 100 * MS_NS);

        record(rig, &request);
    }
    fixture_flip_all(&rig->fixture);
    char *text = expose(rig, PROFILE_SERVICEGRAPH, &prometheus_text);

    assert_true(sum_of(text, "traces_service_graph_request_total", NULL) == 1);
    assert_true(sum_of(text, "traces_service_graph_request_server_seconds_sum", NULL) == 0.1);
    free(text);
}

static void check_is_owned(const struct snapshot_family *shown, const struct profile_family *owned)
{
    static const enum snapshot_type types[] = {[PROFILE_COUNTER] = SNAPSHOT_COUNTER,
        [PROFILE_GAUGE] = SNAPSHOT_GAUGE,
        [PROFILE_HISTOGRAM] = SNAPSHOT_HISTOGRAM};

    while (owned->name != NULL && strcmp(owned->name, shown->name) != 0) {
        owned++;
    }
    assert_non_null(owned->name);
    assert_int_equal(types[owned->type], shown->type);
}

/* Every family that a profile shows is in the list of those that it owns, under the name it has there. */
static void the_profile_owns_what_it_shows(void **state)
{
    struct rig *rig = *state;
    size_t shown_count = 0;

    start(rig, ALL_PROFILES, PROFILE_GRAPH_DESTINATION);
    tell_story(rig);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
        struct snapshot *snapshot = NULL;
        struct snapshot_cursor cursor = {0};
        const struct snapshot_family *family = NULL;
        const struct snapshot_family *before = NULL;
        struct snapshot_series series;

        assert_int_equal(
            aggregator_profile_snapshot_new(rig->fixture.aggregator, (enum profile)p, &settings, &snapshot),
            0);
        while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
            if (family != before) {
                check_is_owned(family, profile_rows[p].families);
                shown_count++;
            }
            before = family;
        }
        aggregator_snapshot_free(snapshot);
    }
    assert_int_equal(shown_count, 8 + 12 + 2 + 3 + 4 + 2);
}

static void send_point(struct rig *rig, const char *name, enum metric_point_type type)
{
    struct metric_point point = {.type = type,
        .name = id_of(rig, name),
        .sender = id_of(rig, "proxy"),
        .time_unix_ns = START_UNIX_NS,
        .value = 7};

    directory_record_point(rig->fixture.directories[0], &point);
}

/* What a proxy sends under a name that the enabled profile has made its own is dropped, and counted; what
 * only resembles it is not, and neither are names of profiles that are not enabled. */
static void a_family_has_one_owner(void **state)
{
    struct rig *rig = *state;
    struct fixture *f = &rig->fixture;

    start(rig, PROFILE_BIT(ISTIO) | PROFILE_BIT(LINKERD), PROFILE_GRAPH_DESTINATION);
    send_point(rig, "istio_requests_total", METRIC_POINT_COUNTER);
    send_point(rig, "istio_requests_total", METRIC_POINT_BARE_COUNTER);
    send_point(rig, "request_total", METRIC_POINT_BARE_COUNTER);
    send_point(rig, "istio_request_duration_milliseconds_count", METRIC_POINT_BARE_COUNTER);
    send_point(rig, "process_start_time_seconds", METRIC_POINT_GAUGE);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_OWNED), 5);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_RECORDED), 0);

    send_point(rig, "istio_agent_pilot_xds", METRIC_POINT_GAUGE);
    send_point(rig, "request_errors_total", METRIC_POINT_BARE_COUNTER);
    send_point(rig, "traces_spanmetrics_calls_total", METRIC_POINT_BARE_COUNTER);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_DROPPED_OWNED), 5);
    fixture_flip_all(f);
    assert_int_equal(metric_registry_sum(&f->registry, METRIC_POINTS_AGGREGATED), 3);
    fixture_check_ledger(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_expositions_are_these, setup, teardown),
        cmocka_unit_test_setup_teardown(no_label_set_comes_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(values_add_up_over_intervals, setup, teardown),
        cmocka_unit_test_setup_teardown(our_own_families_do_not_change, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disabled_profile_costs_no_series, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_profile_leaves_out_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_series_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(the_graph_counts_one_side, setup, teardown),
        cmocka_unit_test_setup_teardown(the_profile_owns_what_it_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(a_family_has_one_owner, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
