/* Lines of an exposition to families and series: prom_text.h. Points are made of them in prom_series.c. */
#include "decode/prom_text.h"

#include "core/error.h"
#include "decode/prom_series.h"

static const struct {
    const char *word;
    enum prom_kind kind;
} kinds[] = {
    {"counter", PROM_KIND_COUNTER},
    {"gauge", PROM_KIND_GAUGE},
    {"histogram", PROM_KIND_HISTOGRAM},
    {"summary", PROM_KIND_SUMMARY},
    {"untyped", PROM_KIND_UNTYPED},
    {"unknown", PROM_KIND_UNTYPED},
    {"info", PROM_KIND_INFO},
    {"stateset", PROM_KIND_GAUGE},
    {"gaugehistogram", PROM_KIND_UNTYPED},
};

/* What a sample is to its family, by what its name has more than the family's. */
static const struct {
    const char *suffix;
    enum prom_kind kind;
    enum prom_role role;
} roles[] = {
    {"_bucket", PROM_KIND_HISTOGRAM, PROM_ROLE_BUCKET},
    {"_sum", PROM_KIND_HISTOGRAM, PROM_ROLE_SUM},
    {"_count", PROM_KIND_HISTOGRAM, PROM_ROLE_COUNT},
    {"_created", PROM_KIND_HISTOGRAM, PROM_ROLE_NONE},
    {"_sum", PROM_KIND_SUMMARY, PROM_ROLE_SUM},
    {"_count", PROM_KIND_SUMMARY, PROM_ROLE_COUNT},
    {"_created", PROM_KIND_SUMMARY, PROM_ROLE_NONE},
    {"_total", PROM_KIND_COUNTER, PROM_ROLE_VALUE},
    {"_created", PROM_KIND_COUNTER, PROM_ROLE_NONE},
    {"_info", PROM_KIND_INFO, PROM_ROLE_VALUE},
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0], ROLE_COUNT = sizeof roles / sizeof roles[0] };

static int read_type(struct prom_family *family, struct slice word)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!slice_equal(word, slice_of_string(kinds[i].word))) {
            continue;
        }
        if ((family->has_type || family->has_samples) && family->kind != kinds[i].kind) {
            return WERR_INVALID; /* said otherwise before, or too late: the samples have been taken */
        }
        family->kind = kinds[i].kind;
        family->has_type = true;
        return 0;
    }
    return WERR_INVALID;
}

static struct slice trim(struct slice text)
{
    while (text.length > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = slice_sub(text, 1, text.length);
    }
    while (text.length > 0 && (text.ptr[text.length - 1] == ' ' || text.ptr[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/* Cuts the first word off. */
static struct slice take_word(struct slice *at)
{
    *at = trim(*at);
    size_t blank = slice_find(*at, ' ');
    size_t tab = slice_find(*at, '\t');
    size_t end = blank < tab ? blank : tab;
    struct slice word = slice_sub(*at, 0, end);

    *at = trim(slice_sub(*at, end, at->length));
    return word;
}

/* `# HELP name text`, `# TYPE name type`, `# UNIT name unit`, `# EOF`; any other comment says nothing. */
static int read_comment(struct prom_reader *reader, struct slice line)
{
    struct slice at = slice_sub(line, 1, line.length);
    struct slice what = take_word(&at);
    bool is_help = slice_equal(what, SLICE_LITERAL("HELP"));
    bool is_type = slice_equal(what, SLICE_LITERAL("TYPE"));

    if (slice_equal(what, SLICE_LITERAL("EOF")) && at.length == 0) {
        reader->result->has_ended = reader->format == PROM_FORMAT_OPENMETRICS;
        return 0;
    }
    if (!is_help && !is_type && !slice_equal(what, SLICE_LITERAL("UNIT"))) {
        return 0;
    }
    struct slice name = take_word(&at);
    if (name.length == 0 || name.length > PROM_NAME_BYTES_MAX || prom_name_length(name) != name.length) {
        return WERR_INVALID;
    }
    struct prom_family *family;
    int error = prom_family_obtain(reader, name, &family);
    if (error < 0) {
        return error == WERR_FULL ? 0 : error; /* its samples are counted as past the limit */
    }
    if (is_type) {
        return read_type(family, at);
    }
    if (is_help) {
        return family->help.length > 0 || prom_unescape(at, reader->arena, &family->help) ? 0 : WERR_NOMEM;
    }
    family->unit = slice_has_suffix(name, at) ? at : slice_of(NULL, 0);
    return 0;
}

/* The family of a sample and what it is to it; one of its own, untyped, when nobody told of it. As
 * prom_family_obtain. */
static int family_of(struct prom_reader *reader, const struct prom_sample *sample,
    struct prom_family **ret_family, enum prom_role *ret_role)
{
    struct prom_family *family = prom_family_find(reader, sample->name);

    *ret_role = PROM_ROLE_VALUE;
    if (family != NULL && (family->has_type || family->has_samples)) {
        *ret_role = family->kind == PROM_KIND_SUMMARY     ? PROM_ROLE_QUANTILE
                    : family->kind == PROM_KIND_HISTOGRAM ? PROM_ROLE_WRONG
                                                          : PROM_ROLE_VALUE;
        *ret_family = family;
        return 0;
    }
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        struct slice suffix = slice_of_string(roles[i].suffix);

        if (!slice_has_suffix(sample->name, suffix)) {
            continue;
        }
        struct prom_family *base =
            prom_family_find(reader, slice_sub(sample->name, 0, sample->name.length - suffix.length));
        if (base != NULL && base->kind == roles[i].kind) {
            *ret_role = roles[i].role;
            *ret_family = base;
            return 0;
        }
    }
    return prom_family_obtain(reader, sample->name, ret_family);
}

static int read_sample(struct prom_reader *reader, struct slice line)
{
    struct prom_sample *sample = &reader->sample;
    enum prom_role role;

    reader->result->sample_count++;
    int error = prom_line_read(line, reader->format, reader->arena, sample);
    if (error < 0) {
        return error;
    }
    struct prom_family *family;
    error = family_of(reader, sample, &family, &role);
    if (error == WERR_FULL) {
        reader->result->point_over_count++;
        return 0;
    }
    if (error < 0) {
        return error;
    }
    family->has_samples = true;
    return role == PROM_ROLE_NONE ? 0 : prom_series_add(reader, family, role);
}

static int read_line(struct prom_reader *reader, struct slice line)
{
    if (line.length > 0 && line.ptr[line.length - 1] == '\r') {
        line.length--;
    }
    line = trim(line);
    if (line.length == 0) {
        return 0;
    }
    return line.ptr[0] == '#' ? read_comment(reader, line) : read_sample(reader, line);
}

static int read_lines(struct prom_reader *reader, struct slice body)
{
    struct prom_result *result = reader->result;

    for (uint64_t number = 1; body.length > 0 && !result->has_ended; number++) {
        size_t end = slice_find(body, '\n');
        bool is_whole = end < body.length;
        struct slice line = slice_sub(body, 0, end);
        uint64_t samples_before = result->sample_count;
        int error =
            is_whole || reader->format == PROM_FORMAT_OPENMETRICS ? read_line(reader, line) : WERR_TRUNCATED;

        if (error == WERR_NOMEM) {
            return error;
        }
        if (error < 0) {
            result->sample_bad_count += result->sample_count > samples_before;
            result->line_bad_count++;
            result->first_bad_line = result->first_bad_line > 0 ? result->first_bad_line : number;
        }
        body = slice_sub(body, is_whole ? end + 1 : end, body.length);
    }
    return 0;
}

int prom_text_read(struct slice body, enum prom_format format, uint64_t series_count_max, struct arena *arena,
    const struct prom_sink *sink, struct prom_result *ret_result)
{
    struct prom_reader *reader = arena_zalloc(arena, sizeof *reader);

    *ret_result = (struct prom_result){.sample_count = 0};
    if (reader == NULL) {
        return WERR_NOMEM;
    }
    reader->format = format;
    reader->arena = arena;
    reader->result = ret_result;
    reader->series_count_max = series_count_max;
    int error = read_lines(reader, body);
    return error < 0 ? error : prom_series_tell(reader, sink);
}
