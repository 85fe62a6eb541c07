/* What the configuration leaves out of a view and adds to it: core/metric_filter.h. The aggregator's thread.
 */
#include <string.h>

#include "aggregate/label_text.h"
#include "aggregate/snapshot_internal.h"

bool view_shows(const struct view *view, const struct snapshot_family *family)
{
    return metric_filter_shows(&view->settings.filter, family->name);
}

static bool has_label(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->label_count; i++) {
        if (strcmp(view->labels[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void view_add_static_labels(struct view *view)
{
    for (size_t i = 0; i < view->settings.label_count; i++) {
        const struct snapshot_label *label = &view->settings.labels[i];

        if (!has_label(view, label->name)) {
            view_add_label(view, label->name, label->value);
        }
    }
}

/* The labels of a series of a proxy's were rendered once: they are copied only where there is one to add. */
void view_extend_labels(struct view *view, struct snapshot_series *series)
{
    if (view->settings.label_count == 0 || series->label_count > VIEW_LABEL_COUNT_MAX) {
        return;
    }
    view_begin_labels(view);
    buffer_append(&view->text, series->labels_text, series->labels_text_length);
    memcpy(view->labels, series->labels, series->label_count * sizeof view->labels[0]);
    view->label_count = series->label_count;
    view_end_labels(view, series);
}
