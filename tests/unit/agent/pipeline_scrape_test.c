/* Scraped expositions into a shard's values: names, labels, times, limits, and every row of the ledger. */
#include "rig.h"

#include "aggregate/snapshot.h"
#include "pipeline/pipeline_scrape.h"

enum { ARENA_BYTES_MAX = 8388608, SHOWN_BYTES_MAX = 16384 };

struct scraping {
    struct rig rig; /* first member */
    struct arena arena;
    struct scrape_source source;
    struct prom_result result;
    char shown[SHOWN_BYTES_MAX]; /* series as text, a line each */
};

static const struct prom_label added[] = {
    {.name = SLICE_LITERAL("mesh"), .value = SLICE_LITERAL("east")},
    {.name = SLICE_LITERAL("zone"), .value = SLICE_LITERAL("z")},
};

static int setup(void **state)
{
    struct scraping *self = calloc(1, sizeof *self);

    rig_init(&self->rig);
    arena_init(&self->arena, 4096, ARENA_BYTES_MAX);
    *state = self;
    return 0;
}

static void start(struct scraping *self)
{
    rig_start(&self->rig, NULL);
    sender_of_target("web", "shop", &self->source.sender);
    context_sender_bind(&self->rig.pipeline.context, &self->source.sender);
    self->source.stale_after_s = 55;
}

static int teardown(void **state)
{
    struct scraping *self = *state;

    context_sender_release(&self->rig.pipeline.context, &self->source.sender);
    rig_stop(&self->rig);
    arena_deinit(&self->arena);
    free(self);
    return 0;
}

static int scrape(struct scraping *self, const char *text)
{
    return pipeline_scrape(&self->rig.pipeline, &self->source, slice_of_string(text), PROM_FORMAT_TEXT,
        &self->arena, &self->result);
}

static void flip(struct scraping *self)
{
    struct delta *delta = directory_flip(self->rig.pipeline.directory);

    assert_non_null(delta);
    aggregator_merge(self->rig.aggregator, delta);
    directory_give_back(self->rig.pipeline.directory, delta);
}

static void expect(struct scraping *self, uint64_t received, uint64_t recorded)
{
    rig_expect(&self->rig, METRIC_POINTS_RECEIVED, received);
    rig_expect(&self->rig, METRIC_POINTS_RECORDED, recorded);
    rig_expect(&self->rig, METRIC_POINTS_AGGREGATED, recorded);
}

/* Fills self->shown with the series that targets told of. */
static void show(struct scraping *self)
{
    struct snapshot_settings settings = {.native_scale = 3, .native_buckets_max = 160};
    struct snapshot_cursor cursor = {0};
    const struct snapshot_family *family = NULL;
    struct snapshot_series series;
    struct snapshot *snapshot = NULL;
    size_t used = 0;

    assert_int_equal(
        aggregator_snapshot_new(self->rig.aggregator, &self->rig.registry, &settings, &snapshot), 0);
    self->shown[0] = '\0';
    while (snapshot_next(snapshot, &cursor, &family, &series) == 1) {
        if (strstr(series.labels_text, "sender_workload") == NULL) {
            continue;
        }
        used += (size_t)snprintf(self->shown + used, sizeof self->shown - used, "%s{%.*s} %g", family->name,
            (int)series.labels_text_length, series.labels_text, series.value);
        for (size_t i = 0; series.histogram != NULL && i < series.histogram->bound_count; i++) {
            used += (size_t)snprintf(self->shown + used, sizeof self->shown - used, " <=%g:%llu",
                series.histogram->bounds[i], (unsigned long long)series.histogram->bound_counts[i]);
        }
        used += (size_t)snprintf(self->shown + used, sizeof self->shown - used, "\n");
        assert_true(used < sizeof self->shown);
    }
    aggregator_snapshot_free(snapshot);
}

static void expect_shown(struct scraping *self, const char *line)
{
    show(self);
    if (strstr(self->shown, line) == NULL) {
        print_error("%s\nlacks %s\n", self->shown, line);
        fail();
    }
}

#define SENDER "sender_workload=\"target/shop/web\"" /* as the rig describes senders: not at all */

static void each_type_keeps_its_name(void **state)
{
    struct scraping *self = *state;

    start(self);
    assert_int_equal(
        scrape(self,
            "# TYPE c counter\nc 3\n# TYPE c_total counter\nc_total 5\n# TYPE g gauge\ng -1\nu 7\n"
            "# TYPE h histogram\nh_bucket{le=\"10\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 9\nh_count 3\n"
            "# TYPE s summary\ns{quantile=\"0.5\"} 4\ns_sum 8\ns_count 2\n"),
        0);
    expect(self, 8, 8);
    flip(self);
    rig_check(&self->rig);
    expect_shown(self, "c{" SENDER "} 3\n");
    expect_shown(self, "c_total{" SENDER "} 5\n");
    expect_shown(self, "g{" SENDER "} -1\n");
    expect_shown(self, "u{" SENDER "} 7\n");
    expect_shown(self, "h{" SENDER "} 0 <=10:2\n");
    expect_shown(self, "s{quantile=\"0.5\"," SENDER "} 4\n");
    expect_shown(self, "s_sum{" SENDER "} 8\n");
    expect_shown(self, "s_count{" SENDER "} 2\n");
}

static void labels_are_added_where_there_are_none(void **state)
{
    struct scraping *self = *state;

    start(self);
    self->source.labels = added;
    self->source.label_count = 2;
    assert_int_equal(scrape(self, "a{b=\"1\",zone=\"own\"} 1\n"), 0);
    expect(self, 1, 1);
    flip(self);
    rig_check(&self->rig);
    expect_shown(self, "a{b=\"1\",mesh=\"east\",zone=\"own\"," SENDER "} 1\n");
}

static void what_cannot_be_taken_is_counted(void **state)
{
    struct scraping *self = *state;
    char many[4096] = "many{";
    size_t used = strlen(many);

    start(self);
    for (int i = 0; i <= METRIC_LABEL_COUNT_MAX; i++) {
        used += (size_t)snprintf(many + used, sizeof many - used, "l%d=\"v\",", i);
    }
    used += (size_t)snprintf(many + used, sizeof many - used, "} 1\n# TYPE w histogram\n");
    for (int i = 0; i <= METRIC_BOUND_COUNT_MAX; i++) {
        used += (size_t)snprintf(many + used, sizeof many - used, "w_bucket{le=\"%d\"} 1\n", i);
    }
    (void)snprintf(many + used, sizeof many - used, "w_count 1\n");
    assert_int_equal(scrape(self, many), 0); /* 33 labels are read, but are more than a point's */
    rig_expect(&self->rig, METRIC_POINTS_DROPPED_MALFORMED, 2);
    assert_int_equal(scrape(self, "good 1\nbad{\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_count 1\n"
                                  "# TYPE n counter\nn NaN\n"),
        0);
    rig_expect(&self->rig, METRIC_POINTS_DROPPED_MALFORMED, 3);
    assert_int_equal(scrape(self, "old 1 1000\n"), 0);
    rig_expect(&self->rig, METRIC_POINTS_DROPPED_TIME, 1);
    expect(self, 7, 1);
    flip(self);
    rig_check(&self->rig);
    assert_int_equal(self->result.line_bad_count, 0);
}

static void limits_are_counted(void **state)
{
    struct scraping *self = *state;
    struct arena small;

    self->rig.limits.scrape_series_count_max = 2;
    start(self);
    assert_int_equal(scrape(self, "a 1\nb 1\nc 1\n"), 0);
    rig_expect(&self->rig, METRIC_POINTS_DROPPED_SERIES, 1);
    expect(self, 3, 2);
    arena_init(&small, 1024, 1024);
    assert_int_equal(pipeline_scrape(&self->rig.pipeline, &self->source, SLICE_LITERAL("a 1\n"),
                         PROM_FORMAT_TEXT, &small, &self->result),
        WERR_NOMEM);
    arena_deinit(&small);
    flip(self);
    rig_check(&self->rig);
}

static void new_texts_need_room(void **state)
{
    struct scraping *self = *state;

    self->rig.limits.strings_count_max = 256;
    start(self);
    for (int i = 0; i < 400; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "m{a=\"v%d\"} 1\n", i);
        assert_int_equal(scrape(self, text), 0);
    }
    flip(self);
    uint64_t dropped = rig_get(&self->rig, METRIC_POINTS_DROPPED_SERIES);
    uint64_t aggregated = rig_get(&self->rig, METRIC_POINTS_AGGREGATED);
    assert_true(dropped > 0 && aggregated > 0);
    assert_int_equal(dropped + aggregated, 400);
    assert_int_equal(rig_balance(&self->rig, "metrics"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_type_keeps_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_are_added_where_there_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_taken_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(new_texts_need_room, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
