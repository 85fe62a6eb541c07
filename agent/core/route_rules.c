/* See route_rules.h. */
#include "core/route_rules.h"

#include <string.h>

#include "core/service_pattern.h"

/* ---- templates ---- */

/* What is left of a path or template after its slashes; the segment that it begins with is cut off. */
static struct slice next_segment(struct slice *rest)
{
    size_t begin = 0;

    while (begin < rest->length && rest->ptr[begin] == '/') {
        begin++;
    }
    struct slice after = slice_sub(*rest, begin, rest->length);
    size_t end = slice_find(after, '/');

    *rest = slice_sub(after, end, after.length);
    return slice_sub(after, 0, end);
}

static bool is_any(struct slice segment)
{
    return slice_equal(segment, SLICE_LITERAL("*")) ||
           (segment.length >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.length - 1] == '}');
}

static bool is_rest(struct slice segment)
{
    return slice_equal(segment, SLICE_LITERAL("**"));
}

static const char *segment_fault(struct slice segment, bool is_last)
{
    if (is_rest(segment)) {
        return is_last ? NULL : "** only at its end";
    }
    if (is_any(segment)) {
        return NULL;
    }
    for (size_t i = 0; i < segment.length; i++) {
        if (strchr("*{}", segment.ptr[i]) != NULL) {
            return "stars and braces that are a whole segment, as in /users/{id}";
        }
    }
    return NULL;
}

const char *route_rule_fault(const char *path_template)
{
    struct slice rest = slice_of_string(path_template);
    const char *fault = NULL;

    if (rest.length == 0 || rest.ptr[0] != '/') {
        return "a path that begins with a slash";
    }
    if (rest.length > ROUTE_RULE_BYTES_MAX) {
        return "at most 200 bytes";
    }
    for (size_t i = 0; i < rest.length; i++) {
        if (rest.ptr[i] <= ' ' || rest.ptr[i] > '~' || strchr("?#\"\\", rest.ptr[i]) != NULL) {
            return "a path of printable ASCII without a query";
        }
    }
    while (fault == NULL && rest.length > 0) {
        struct slice segment = next_segment(&rest);

        fault = segment_fault(segment, rest.length == 0);
    }
    return fault;
}

/* ---- paths ---- */

static struct slice without_query(struct slice path)
{
    size_t query = slice_find(path, '?');
    size_t fragment = slice_find(path, '#');

    return slice_sub(path, 0, query < fragment ? query : fragment);
}

/* The path of "scheme://authority/path"; other texts as they are. */
static struct slice without_authority(struct slice text)
{
    size_t colon = slice_find(text, ':');
    struct slice rest = slice_sub(text, colon, text.length);

    if (text.length == 0 || text.ptr[0] == '/' || !slice_has_prefix(rest, SLICE_LITERAL("://"))) {
        return text;
    }
    rest = slice_sub(rest, 3, rest.length);
    return slice_sub(rest, slice_find(rest, '/'), rest.length);
}

bool route_rule_fits(const char *path_template, struct slice path)
{
    struct slice wanted = slice_of_string(path_template);
    struct slice given = without_query(without_authority(path));

    while (true) {
        struct slice want = next_segment(&wanted);

        if (is_rest(want)) {
            return true;
        }
        struct slice have = next_segment(&given);
        if (want.length == 0 || have.length == 0) {
            return want.length == have.length;
        }
        if (!is_any(want) && !slice_equal(want, have)) {
            return false;
        }
    }
}

/* ---- rules ---- */

struct slice route_rules_find(
    const struct route_rules *rules, struct slice path, struct slice service, struct slice service_namespace)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct route_rule *rule = &rules->items[i];

        if (route_rule_fits(rule->path_template, path) &&
            service_pattern_fits(rule->service, service, service_namespace)) {
            return slice_of_string(rule->path_template);
        }
    }
    return slice_of(NULL, 0);
}

bool route_rules_own(const struct route_rules *rules, struct slice text)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (text.ptr == (const uint8_t *)rules->items[i].path_template) {
            return true;
        }
    }
    return false;
}
