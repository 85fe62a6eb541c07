/* Reading the configuration anew and telling every thread; see reload.h. Main's loop. */
#include "reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/effective.h"
#include "core/error.h"

enum { TIME_TEXT_BYTES = 32, NS_PER_MS = 1000000 };

static void reload_now(struct reload *reload);

/* ---- what is said of it ---- */

/* The configuration in force, below comments that say what became of the last reload. NULL without memory. */
static struct shared_bytes *make_text(const struct reload *reload)
{
    struct buffer out;
    char when[TIME_TEXT_BYTES];

    buffer_init(&out, CONFIG_EFFECTIVE_BYTES_MAX);
    log_format_time(reload->success_unix_ns, when);
    (void)buffer_append_format(&out,
        "# In force since %s. Reloads since the start: %" PRIu64 ", failed: %" PRIu64 "\n", when,
        reload->count, reload->failed_count);
    if (reload->error.text[0] != '\0') {
        (void)buffer_append_format(&out, "# The last reload failed: %s\n", reload->error.text);
    }
    if (reload->changes.pending_count > 0) {
        (void)buffer_append_format(
            &out, "# Changed in the file, waiting for a restart: %s\n", reload->changes.pending);
    }
    struct shared_bytes *text = config_write(reload->current, &out) == 0 ? shared_bytes_take(&out) : NULL;
    buffer_deinit(&out);
    return text;
}

static void tell_metrics(const struct reload *reload)
{
    struct metric_cells *cells = reload->settings.cells;

    metric_set(cells, METRIC_CONFIG_RELOAD_OK, reload->error.text[0] == '\0');
    metric_set(cells, METRIC_CONFIG_RELOAD_TIME, reload->success_unix_ns / NS_PER_MS);
    metric_set(cells, METRIC_CONFIG_PENDING, reload->changes.pending_count);
}

/* ---- letters ---- */

static void on_acknowledged(struct mail *mail, void *receiver)
{
    struct config_letter *letter = (struct config_letter *)mail;
    struct reload *reload = letter->user;

    (void)receiver;
    shared_bytes_unref(letter->text);
    letter->text = NULL;
    if (--reload->waiting_count > 0) {
        return;
    }
    config_free(reload->leaving);
    reload->leaving = NULL;
    if (reload->is_wanted) {
        reload->is_wanted = false;
        reload_now(reload);
    } else {
        reload->settings.ended(reload->settings.user);
    }
}

/* Without memory for the text the old one goes on being answered. */
static void tell_all(struct reload *reload)
{
    struct shared_bytes *text = make_text(reload);

    if (text != NULL) {
        shared_bytes_unref(reload->text);
        reload->text = text;
    }
    reload->waiting_count = reload->party_count;
    for (size_t i = 0; i < reload->party_count; i++) {
        struct config_letter *letter = &reload->letters[i];
        *letter = (struct config_letter){
            .config = reload->current,
            .text = shared_bytes_ref(reload->text),
            .reply_to = reload->settings.mailbox,
            .acknowledged = on_acknowledged,
            .user = reload,
        };
        reload->parties[i].post(reload->parties[i].party, letter);
    }
}

/* ---- reading ---- */

static void take_over(struct reload *reload, struct config *next, const struct config_changes *changes)
{
    const struct reload_settings *settings = &reload->settings;

    reload->leaving = reload->owned;
    reload->owned = next;
    reload->current = next;
    reload->changes = *changes;
    reload->error.text[0] = '\0';
    reload->success_unix_ns = clock_unix_ns(settings->clock);
    reload->count++;
    metric_add(settings->cells, METRIC_CONFIG_RELOADS_OK, 1);
    settings->apply(settings->user, next);
    for (size_t i = 0; i < next->warnings.count; i++) {
        log_event(settings->log, LOG_LEVEL_WARN, "configuration", LOG_S("reason", next->warnings.items[i]));
    }
    if (changes->pending_count > 0) {
        log_event(settings->log, LOG_LEVEL_WARN, "reloaded", LOG_I("changed", changes->live_count),
            LOG_I("waiting_for_restart", changes->pending_count), LOG_S("keys", changes->pending));
    } else {
        log_event(settings->log, LOG_LEVEL_INFO, "reloaded", LOG_I("changed", changes->live_count));
    }
}

static void reload_now(struct reload *reload)
{
    const struct reload_settings *settings = &reload->settings;
    struct config_changes changes;
    struct config_error error;
    struct config *next;

    if (config_reload(settings->source, reload->current, &next, &changes, &error) == 0) {
        take_over(reload, next, &changes);
    } else {
        reload->error = error;
        reload->failed_count++;
        metric_add(settings->cells, METRIC_CONFIG_RELOADS_FAILED, 1);
        log_event(settings->log, LOG_LEVEL_ERROR, "reload_failed", LOG_S("reason", error.text));
    }
    tell_metrics(reload);
    tell_all(reload);
}

void reload_run(struct reload *reload)
{
    if (reload->is_closed) {
        return;
    }
    if (reload->settings.source == NULL) {
        log_event(reload->settings.log, LOG_LEVEL_WARN, "reload_failed",
            LOG_S("reason", "there is no configuration to read anew"));
        reload->settings.ended(reload->settings.user);
    } else if (reload->waiting_count > 0) {
        reload->is_wanted = true;
    } else {
        reload_now(reload);
    }
}

/* ---- start and stop ---- */

int reload_init(struct reload *reload, const struct reload_settings *settings)
{
    *reload = (struct reload){
        .settings = *settings,
        .current = settings->started_with,
        .success_unix_ns = clock_unix_ns(settings->clock),
    };
    tell_metrics(reload);
    reload->text = make_text(reload);
    return reload->text != NULL ? 0 : WERR_NOMEM;
}

void reload_add(struct reload *reload, void *party, void (*post)(void *party, struct config_letter *letter))
{
    reload->parties[reload->party_count++] = (struct reload_party){.party = party, .post = post};
}

void reload_close(struct reload *reload)
{
    reload->is_closed = true;
    reload->is_wanted = false;
}

void reload_deinit(struct reload *reload)
{
    for (size_t i = 0; i < reload->party_count; i++) {
        shared_bytes_unref(reload->letters[i].text);
    }
    shared_bytes_unref(reload->text);
    config_free(reload->leaving);
    config_free(reload->owned);
}
