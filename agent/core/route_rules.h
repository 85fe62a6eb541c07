/*
 * Routes as the configuration names them: for paths that no record has a route for, templates of some
 * destinations' own, tried in their order before route_template guesses.
 *
 *   service "cart*" or "cart.shop"    which destinations: a pattern over NAME and NAME.NAMESPACE; NULL: all
 *   template "/users/{id}/orders/ *"   a segment in braces or a star stands for any one segment,
 *            "/static/ **"             two stars, last, for all that follows, or nothing
 *
 * (Without the blanks.) Read-only once made; any thread.
 */
#ifndef WEFT_CORE_ROUTE_RULES_H
#define WEFT_CORE_ROUTE_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

enum { ROUTE_RULE_BYTES_MAX = 200 }; /* of a template: shorter than limits.string_bytes_max may be */

struct route_rule {
    const char *service;       /* as fnmatch(3) reads it, or NULL */
    const char *path_template; /* checked by route_rule_fault; becomes the label as it is */
};

struct route_rules {
    struct route_rule *items; /* the configuration's, its texts too */
    size_t count;
};

/* What is wrong with a template, as a clause that follows "expected"; NULL: nothing. */
const char *route_rule_fault(const char *path_template);

/* Whether a path (with a query or a fragment, which do not matter) is of this template. */
bool route_rule_fits(const char *path_template, struct slice path);

/*
 * The template of a path to a destination; empty: no rule is for it. The text is the rule's own, so that
 * route_rules_own knows it. `service` and `service_namespace` are names; the latter may be empty.
 */
struct slice route_rules_find(
    const struct route_rules *rules, struct slice path, struct slice service, struct slice service_namespace);

/* Whether the text is a template of a rule, by its place in memory. */
bool route_rules_own(const struct route_rules *rules, struct slice text);

#endif
