/*
 * Metrics that proxies sent under their own names, in the aggregator: families of one type each, series by
 * their rendered labels, counters that never fall. The aggregator's thread.
 */
#include "aggregate/aggregator_internal.h"
#include "aggregate/label_text.h"
#include "aggregate/point_names.h"

/* A bare counter whose name ends in _total is the counter of the rest of the name. */
static bool is_counter_of(const char *bare, const char *counter)
{
    size_t length = strlen(counter);

    return strncmp(bare, counter, length) == 0 && strcmp(bare + length, "_total") == 0;
}

static bool is_same_family(const struct point_family *family, const char *name, enum metric_point_type type)
{
    if (family->type == type) {
        return strcmp(family->shown.name, name) == 0;
    }
    if (type == METRIC_POINT_BARE_COUNTER && family->type == METRIC_POINT_COUNTER) {
        return is_counter_of(name, family->shown.name);
    }
    return type == METRIC_POINT_COUNTER && family->type == METRIC_POINT_BARE_COUNTER &&
           is_counter_of(family->shown.name, name);
}

static struct point_family *find_family(
    struct aggregator *aggregator, const char *name, enum metric_point_type type, bool *ret_conflict)
{
    bool clashes = false;

    for (uint32_t i = 0; i < aggregator->point_families.used; i++) {
        struct point_family *family = table_at(&aggregator->point_families, i);

        if (family == NULL) {
            continue;
        }
        if (is_same_family(family, name, type)) {
            return family;
        }
        clashes = clashes ||
                  point_names_clash(family->shown.name, (enum metric_point_type)family->type, name, type);
    }
    *ret_conflict = clashes || point_name_is_reserved(name);
    return NULL;
}

/* Histograms of either kind share families. */
static enum metric_point_type family_type(enum metric_point_type type)
{
    return type == METRIC_POINT_EXPLICIT ? METRIC_POINT_HISTOGRAM : type;
}

static enum snapshot_type shown_type(enum metric_point_type type)
{
    switch (type) {
    case METRIC_POINT_COUNTER:
        return SNAPSHOT_COUNTER;
    case METRIC_POINT_BARE_COUNTER:
        return SNAPSHOT_BARE_COUNTER;
    case METRIC_POINT_GAUGE:
        return SNAPSHOT_GAUGE;
    default:
        return SNAPSHOT_HISTOGRAM;
    }
}

static void free_family(struct aggregator *aggregator, struct point_family *family)
{
    table_deinit(&family->series);
    memory_free(aggregator->settings.budget, family->texts, family->texts_bytes);
    memory_free(aggregator->settings.budget, family, sizeof(*family));
}

static struct point_family *add_family(struct aggregator *aggregator, const char *name, const char *unit,
    struct slice help, enum metric_point_type type)
{
    struct budget *budget = aggregator->settings.budget;
    size_t name_bytes = strlen(name) + 1;

    if (aggregator->point_families.count == POINT_FAMILY_COUNT_MAX) {
        return NULL;
    }
    struct point_family *family = memory_calloc(budget, sizeof(*family));

    if (family == NULL) {
        return NULL;
    }
    table_init(&family->series, budget);
    family->texts_bytes = name_bytes + help.length + 1;
    family->texts = memory_calloc(budget, family->texts_bytes);
    family->number = family->texts != NULL ? table_add(&aggregator->point_families, family) : SLOT_NONE;
    if (family->number == SLOT_NONE) {
        free_family(aggregator, family);
        return NULL;
    }
    memcpy(family->texts, name, name_bytes);
    if (help.length > 0) {
        memcpy(family->texts + name_bytes, help.ptr, help.length);
    }
    family->type = (uint8_t)type;
    family->emptied_s = aggregator->now_s;
    family->shown = (struct snapshot_family){
        .name = family->texts, .type = shown_type(type), .unit = unit, .help = family->texts + name_bytes};
    return family;
}

static struct point_family *obtain_family(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, bool *ret_conflict)
{
    const struct interner *interner = aggregator->interner;
    enum metric_point_type type = family_type((enum metric_point_type)from->point.type);
    char name[POINT_NAME_BYTES_MAX];
    const char *unit = "";
    struct slice given =
        interner_text(interner, aggregator_string(aggregator, delta->shard, from->point.name));

    if (given.length == 0) {
        return NULL;
    }
    point_family_name(given,
        interner_text(interner, aggregator_string(aggregator, delta->shard, from->point.unit)), type, name,
        &unit);
    struct point_family *family = find_family(aggregator, name, type, ret_conflict);

    if (family != NULL || *ret_conflict) {
        return family;
    }
    return add_family(aggregator, name, unit,
        interner_text(interner, aggregator_string(aggregator, delta->shard, from->point.help)), type);
}

/* The labels of one series while it is rendered: as text, and as name\0value\0 pairs. */
struct rendering {
    struct buffer *text;
    struct buffer pairs;
    uint32_t count;
    uint64_t identity;
};

static bool has_name(const struct rendering *rendering, const char *name)
{
    const char *at = (const char *)rendering->pairs.data;

    for (uint32_t i = 0; i < rendering->count; i++) {
        if (strcmp(at, name) == 0) {
            return true;
        }
        at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return false;
}

/* A value may hold no NUL: it is cut there. Of two labels that sanitise to one name the first stays. */
static void render_label(struct rendering *rendering, const char *name, struct slice value)
{
    value = slice_sub(value, 0, slice_find(value, 0));
    if (value.length == 0 || has_name(rendering, name)) {
        return;
    }
    label_text_append(rendering->text, name, value);
    buffer_append(&rendering->pairs, name, strlen(name) + 1);
    buffer_append_slice(&rendering->pairs, value);
    buffer_append_byte(&rendering->pairs, 0);
    rendering->count++;
}

static void describe_sender(
    const struct aggregator *aggregator, struct slice sender, struct sender_description *ret_labels)
{
    if (aggregator->settings.describe_sender != NULL) {
        aggregator->settings.describe_sender(sender, ret_labels);
        return;
    }
    *ret_labels =
        (struct sender_description){.count = 1, .labels = {{.name = "sender_workload", .value = sender}}};
}

/* False when a string is missing or a text is too large. */
static bool render(struct aggregator *aggregator, const struct delta *delta, const struct shard_series *from,
    uint32_t sender, struct rendering *rendering)
{
    uint32_t identity[2 * METRIC_LABEL_COUNT_MAX + 1] = {sender};
    struct sender_description labels = {.count = 0};
    char name[POINT_NAME_BYTES_MAX];

    for (uint32_t i = 0; i < from->point.label_count; i++) {
        uint32_t key = aggregator_string(aggregator, delta->shard, from->point.labels[i].key);
        uint32_t value = aggregator_string(aggregator, delta->shard, from->point.labels[i].value);

        if (key == INTERNED_FULL || value == INTERNED_FULL) {
            return false;
        }
        identity[1 + 2 * i] = key;
        identity[2 + 2 * i] = value;
        point_label_name(interner_text(aggregator->interner, key), name);
        if (*name != '\0') {
            render_label(rendering, name, interner_text(aggregator->interner, value));
        }
    }
    describe_sender(aggregator, interner_text(aggregator->interner, sender), &labels);
    for (size_t i = 0; i < labels.count && i < SENDER_LABEL_COUNT_MAX; i++) {
        render_label(rendering, labels.labels[i].name, labels.labels[i].value);
    }
    rendering->identity = XXH3_64bits(identity, (2 * from->point.label_count + 1) * sizeof(identity[0]));
    return rendering->text->error == 0 && rendering->pairs.error == 0;
}

static uint32_t series_hash(const struct point_family *family, const struct rendering *rendering)
{
    return (uint32_t)XXH3_64bits_withSeed(
        rendering->text->length > 0 ? (const void *)rendering->text->data : "", rendering->text->length,
        (uintptr_t)family);
}

static struct point_series *find_series(const struct aggregator *aggregator,
    const struct point_family *family, const struct rendering *rendering, uint32_t hash)
{
    uint32_t at = hash_index_first(&aggregator->point_index, hash);

    for (uint32_t number; hash_index_next(&aggregator->point_index, hash, &at, &number);) {
        struct point_series *series = table_at(&aggregator->point_series, number);

        if (series->family == family && series->text_length == rendering->text->length &&
            memcmp(series->text, rendering->text->data, series->text_length) == 0) {
            return series;
        }
    }
    return NULL;
}

/* labels[] | text \0 | name \0 value \0 … */
static bool copy_texts(
    struct aggregator *aggregator, struct point_series *series, const struct rendering *rendering)
{
    size_t labels_bytes = rendering->count * sizeof(struct snapshot_label);
    size_t text_bytes = rendering->text->length + 1;

    series->texts_bytes = labels_bytes + text_bytes + rendering->pairs.length;
    series->labels = memory_calloc(aggregator->settings.budget, series->texts_bytes);
    if (series->labels == NULL) {
        return false;
    }
    char *text = (char *)series->labels + labels_bytes;
    char *at = text + text_bytes;

    if (rendering->text->length > 0) {
        memcpy(text, rendering->text->data, rendering->text->length);
        memcpy(at, rendering->pairs.data, rendering->pairs.length);
    }
    for (uint32_t i = 0; i < rendering->count; i++) {
        series->labels[i].name = at;
        at += strlen(at) + 1;
        series->labels[i].value = at;
        at += strlen(at) + 1;
    }
    series->text = text;
    series->text_length = (uint32_t)rendering->text->length;
    series->label_count = rendering->count;
    return true;
}

static void free_memory(struct aggregator *aggregator, struct point_series *series)
{
    struct budget *budget = aggregator->settings.budget;

    memory_free(budget, series->labels, series->texts_bytes);
    points_free_distribution(aggregator, series);
    memory_free(budget, series->streams, series->stream_capacity * sizeof(*series->streams));
    memory_free(budget, series, sizeof(*series));
}

/* Enters the series into its tables. */
static bool enter(struct aggregator *aggregator, struct point_series *series, uint32_t hash)
{
    series->base.number = table_add(&aggregator->point_series, series);
    if (series->base.number == SLOT_NONE) {
        return false;
    }
    series->family_number = table_add(&series->family->series, series);
    if (series->family_number == SLOT_NONE) {
        table_remove(&aggregator->point_series, series->base.number);
        return false;
    }
    if (hash_index_add(&aggregator->point_index, hash, series->base.number) < 0) {
        table_remove(&series->family->series, series->family_number);
        table_remove(&aggregator->point_series, series->base.number);
        return false;
    }
    return true;
}

/* What the values of its family's type need from the beginning. */
static bool add_values(struct aggregator *aggregator, struct point_series *series)
{
    struct budget *budget = aggregator->settings.budget;

    switch (series->family->type) {
    case METRIC_POINT_HISTOGRAM:
        series->distribution = memory_calloc(budget, sizeof(*series->distribution));
        if (series->distribution != NULL) {
            series->distribution->is_explicit = series->type == METRIC_POINT_EXPLICIT;
        }
        return series->distribution != NULL;
    case METRIC_POINT_COUNTER:
    case METRIC_POINT_BARE_COUNTER:
        series->streams = memory_calloc(budget, sizeof(*series->streams));
        series->stream_capacity = series->streams != NULL ? 1 : 0;
        return series->streams != NULL;
    default:
        return true;
    }
}

static struct point_series *add_series(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, struct point_family *family, const struct rendering *rendering,
    uint32_t hash, uint32_t sender)
{
    struct budget *budget = aggregator->settings.budget;
    struct point_series *series = memory_calloc(budget, sizeof(*series));

    if (series == NULL) {
        return NULL;
    }
    series->family = family;
    series->type = from->point.type;
    series->identity = rendering->identity;
    series->base = (struct series_base){
        .created_unix_ns = aggregator_created(aggregator, delta),
        .hash = hash,
        .touched_s = aggregator->now_s,
        .creator = sender,
        .family = FAMILY_POINTS,
    };
    if (!add_values(aggregator, series) || !copy_texts(aggregator, series, rendering) ||
        !aggregator_pay(aggregator, sender)) {
        free_memory(aggregator, series);
        return NULL;
    }
    if (!enter(aggregator, series, hash)) {
        aggregator_refund(aggregator, sender);
        free_memory(aggregator, series);
        return NULL;
    }
    return series;
}

static bool fits_type(const struct point_series *series, const struct shard_series *from)
{
    enum metric_point_type type = (enum metric_point_type)from->point.type;

    return series->type == from->point.type ||
           (metric_point_is_counter(type) && metric_point_is_counter((enum metric_point_type)series->type));
}

static struct point_series *obtain_rendered(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, struct point_family *family, const struct rendering *rendering,
    uint32_t sender, bool *ret_conflict)
{
    uint32_t hash = series_hash(family, rendering);
    struct point_series *series = find_series(aggregator, family, rendering, hash);

    if (series == NULL) {
        return add_series(aggregator, delta, from, family, rendering, hash, sender);
    }
    if (series->identity != rendering->identity || !fits_type(series, from)) {
        *ret_conflict =
            true; /* other labels that sanitise to the same ones, or the other kind of histogram */
        return NULL;
    }
    return series;
}

/* Of two senders of one series the one whose news are good for longer; 0: for ever. */
static void keep_stale_after(struct point_series *series, uint16_t stale_after_s)
{
    bool is_new = series->base.mapping_count == 0;
    bool is_longer = stale_after_s == 0 || stale_after_s > series->stale_after_s;

    if (is_new || (series->stale_after_s != 0 && is_longer)) {
        series->stale_after_s = stale_after_s;
    }
}

struct point_series *points_obtain(struct aggregator *aggregator, const struct delta *delta,
    const struct shard_series *from, bool *ret_conflict)
{
    uint32_t sender = aggregator_string(aggregator, delta->shard, from->sender);
    struct point_family *family = NULL;
    struct point_series *series = NULL;
    struct rendering rendering = {.text = &aggregator->scratch};

    *ret_conflict = false;
    if (sender == INTERNED_FULL) {
        return NULL;
    }
    family = obtain_family(aggregator, delta, from, ret_conflict);
    if (family == NULL) {
        return NULL;
    }
    rendering.text->length = 0;
    rendering.text->error = 0;
    buffer_init(&rendering.pairs, rendering.text->cap_bytes);
    if (render(aggregator, delta, from, sender, &rendering)) {
        series = obtain_rendered(aggregator, delta, from, family, &rendering, sender, ret_conflict);
    }
    buffer_deinit(&rendering.pairs);
    if (series != NULL) {
        bool is_scraped = series->base.mapping_count == 0 && from->point.stale_after_s > 0;

        keep_stale_after(series, from->point.stale_after_s);
        if (is_scraped) {
            scraped_edges_attach(aggregator, series);
        }
    }
    return series;
}

void points_free(struct aggregator *aggregator, struct point_series *series)
{
    aggregator_refund(aggregator, series->base.creator);
    hash_index_remove(&aggregator->point_index, series->base.hash, series->base.number);
    table_remove(&aggregator->point_series, series->base.number);
    table_remove(&series->family->series, series->family_number);
    series->family->emptied_s = aggregator->now_s;
    scraped_edges_detach(aggregator, series);
    free_memory(aggregator, series);
}

/*
 * A family is freed a while after its last series, so that an exposition under way never sees another one in
 * its place.
 */
void points_tick(struct aggregator *aggregator)
{
    uint64_t idle_s = aggregator->settings.limits->series_idle_s;

    for (uint32_t i = 0; i < aggregator->point_families.used; i++) {
        struct point_family *family = table_at(&aggregator->point_families, i);

        if (family != NULL && family->series.count == 0 && aggregator->now_s - family->emptied_s > idle_s) {
            table_remove(&aggregator->point_families, i);
            free_family(aggregator, family);
        }
    }
}

void points_deinit(struct aggregator *aggregator)
{
    if (aggregator->point_families.budget == NULL) {
        return;
    }
    for (uint32_t i = 0; i < aggregator->point_series.used; i++) {
        struct point_series *series = table_at(&aggregator->point_series, i);

        if (series != NULL) {
            points_free(aggregator, series);
        }
    }
    for (uint32_t i = 0; i < aggregator->point_families.used; i++) {
        struct point_family *family = table_at(&aggregator->point_families, i);

        if (family != NULL) {
            free_family(aggregator, family);
        }
    }
    table_deinit(&aggregator->point_families);
    table_deinit(&aggregator->point_series);
    hash_index_deinit(&aggregator->point_index);
}
