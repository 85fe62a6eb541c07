/* The tables of `weft stat`, `weft edges` and of `weft top` where there is no terminal. */
#ifndef WEFT_CLI_STAT_H
#define WEFT_CLI_STAT_H

#include "cli/answers.h"
#include "cli/traffic.h"

/* Asks and prints, as the options say; the exit code. A route among the filters makes rows of routes of
 * those of destinations. */
int stat_run(const char *command, enum traffic_by by, const struct traffic_filters *filters,
    const struct answer_options *options);

#endif
