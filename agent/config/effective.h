/*
 * A configuration as the YAML that makes it again: every key with its value in force, whether that came from
 * the file, the environment, an option or a default. Pure; any thread.
 */
#ifndef WEFT_CONFIG_EFFECTIVE_H
#define WEFT_CONFIG_EFFECTIVE_H

#include "config/config.h"
#include "core/buffer.h"

enum { CONFIG_EFFECTIVE_BYTES_MAX = 4194304 };

/* What stands in the place of a secret. */
#define CONFIG_MASK "********"

/*
 * Appends the YAML, each value with a comment `live` or `restart`. A secret that was given directly is
 * masked, as are passwords and queries in URLs; one from a file is told by the file's name. But for those,
 * config_load makes the same configuration of it. Returns out->error.
 */
int config_write(const struct config *config, struct buffer *out);

#endif
