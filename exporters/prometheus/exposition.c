/* The walk over a snapshot; see exposition.h. */
#include "exporters/prometheus/exposition.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

int exposition_open(const struct exposition_format *format, const struct encoder_options *options,
    struct buffer *out, void **ret_state)
{
    struct exposition *self = calloc(1, format->state_bytes);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->format = format;
    self->options = options;
    self->out = out;
    int error = format->init != NULL ? format->init(self) : 0;
    if (error < 0) {
        exposition_close(self);
        return error;
    }
    *ret_state = self;
    return 0;
}

/* 1 after a series, 0 after the last one, negative on error. */
static int step_series(struct exposition *self, struct snapshot *snapshot)
{
    const struct snapshot_family *family = NULL;
    struct snapshot_series series = {0};
    int more = snapshot_next(snapshot, &self->cursor, &family, &series);

    if (more < 0) {
        return more;
    }
    if (more == 0) {
        self->ended = true;
        return self->format->end(self);
    }
    int error = 0;
    if (family != self->family) {
        self->family = family;
        error = self->format->family(self, family);
    }
    if (error == 0) {
        error = self->format->series(self, family, snapshot, &series);
    }
    if (error < 0) {
        return error;
    }
    self->point_count++;
    return 1;
}

int exposition_step(void *state, struct snapshot *snapshot, size_t series_count)
{
    struct exposition *self = state;
    int more = self->ended ? 0 : 1;

    for (size_t i = 0; more > 0 && (i == 0 || i < series_count); i++) {
        more = step_series(self, snapshot);
    }
    return more;
}

uint64_t exposition_point_count(const void *state)
{
    const struct exposition *self = state;

    return self->point_count;
}

void exposition_close(void *state)
{
    struct exposition *self = state;

    if (self != NULL) {
        self->format->deinit(self);
        free(self);
    }
}

bool exposition_has_unit(const struct snapshot_family *family)
{
    struct slice name = slice_of_string(family->name);
    struct slice unit = slice_of_string(family->unit != NULL ? family->unit : "");

    return unit.length > 0 && family->type != SNAPSHOT_INFO && name.length > unit.length + 1 &&
           slice_has_suffix(name, unit) && name.ptr[name.length - unit.length - 1] == '_';
}
