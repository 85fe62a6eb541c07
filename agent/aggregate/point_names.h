/*
 * Names that proxies chose, made fit for Prometheus: pure functions over text; any thread. The rules are
 * those of the text format (names [a-zA-Z_:][a-zA-Z0-9_:]*, label names without the colon) and of
 * OpenMetrics 1.0 (a counter's family has no
 * `_total`, a unit is a suffix of the name, no two families share a sample name).
 */
#ifndef WEFT_AGGREGATE_POINT_NAMES_H
#define WEFT_AGGREGATE_POINT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "context/metric_point.h"
#include "core/slice.h"

enum { POINT_NAME_BYTES_MAX = 512 };

/*
 * The family's name for a metric: sanitised, its unit appended unless it ends with it, as OpenTelemetry's
 * "Prometheus and OpenMetrics Compatibility" has it: "By/s" is bytes_per_second, "1" of a gauge ratio, what
 * stands in braces nothing. *ret_unit is "" for units that are not known and for those per time. Over-long
 * ones are cut. A bare counter's name gets nothing appended.
 */
void point_family_name(struct slice name, struct slice unit, enum metric_point_type type,
    char out[POINT_NAME_BYTES_MAX], const char **ret_unit);

/* A label's name. `le` and names that begin with __ or with sender_, which only the agent gives, get the
 * prefix "exported_". */
void point_label_name(struct slice name, char out[POINT_NAME_BYTES_MAX]);

/* Whether the samples of two families of different names or types would share a name. */
bool point_names_clash(
    const char *a, enum metric_point_type a_type, const char *b, enum metric_point_type b_type);

/* Whether the name is kept for the agent's own families (mesh_, weft_, target_info). */
bool point_name_is_reserved(const char *name);

/* Whether a family of this name and type would share a sample's name with one that a profile owns;
 * `profiles`: bits 1 << enum profile. */
bool point_name_is_of_profile(const char *name, enum metric_point_type type, uint32_t profiles);

#endif
