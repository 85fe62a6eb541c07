/*
 * From one configuration to the next while the agent runs: which keys differ, and a configuration in which
 * those that can change live have the new value and all others the one they were started with. Main thread.
 */
#ifndef WEFT_CONFIG_CHANGES_H
#define WEFT_CONFIG_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config/schema.h"

enum { CONFIG_CHANGES_TEXT_BYTES = 1024 };

/* What a reload changes. */
struct config_changes {
    uint32_t live_count;                     /* keys whose new value is in force now */
    uint32_t pending_count;                  /* keys whose new value waits for a restart */
    char pending[CONFIG_CHANGES_TEXT_BYTES]; /* their names, ", " between, "..." where there is no room */
};

/*
 * Calls `differs` for each key whose values are not the same, in the schema's order, with a path as
 * "exporters.otlp[0].timeout_ms"; of a list that has become longer or shorter with the list's path and field.
 */
void config_compare(const struct config *a, const struct config *b,
    void (*differs)(void *user, const char *path, const struct config_field *field), void *user);

/*
 * Reads the source anew, as config_load: errors likewise, and WERR_CONFIG when the live keys that it gives do
 * not go with the other ones as they are. *ret_config, for config_free, borrows from `running` all that a
 * restart alone can change: what the agent was started with must outlive it, earlier reloads need not.
 */
int config_reload(const struct config_source *source, const struct config *running,
    struct config **ret_config, struct config_changes *ret_changes, struct config_error *error);

/* The same with the file's text given; `source->path` then only names it. */
int config_reload_text(const struct config_source *source, const char *text, size_t length,
    const struct config *running, struct config **ret_config, struct config_changes *ret_changes,
    struct config_error *error);

#endif
