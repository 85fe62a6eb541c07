/* The exporter as a whole: its destinations, draining and closing. Runs on the exporter's loop. */
#include "exporters/otlp/otlp_exporter.h"

#include <stdlib.h>

#include "core/error.h"
#include "exporters/otlp/destination.h"

struct otlp_exporter {
    struct otlp_exporter_config config; /* its destinations are our copy */
    struct otlp_destination_config *destination_configs;
    struct destination *destinations;
    size_t destination_count;
    uv_timer_t drain_timer;
    void (*drained)(void *user);
    void *drained_user;
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static void copy_config(struct otlp_exporter *self, const struct otlp_exporter_config *config)
{
    const struct otlp_pacing *pacing = &config->pacing;

    self->config = *config;
    self->config.destinations = self->destination_configs;
    self->config.pacing = (struct otlp_pacing){
        .backoff_initial_ms = or_default(pacing->backoff_initial_ms, OTLP_BACKOFF_INITIAL_MS),
        .backoff_max_ms = or_default(pacing->backoff_max_ms, OTLP_BACKOFF_MAX_MS),
        .retry_after_max_ms = or_default(pacing->retry_after_max_ms, OTLP_RETRY_AFTER_MAX_MS),
        .connect_timeout_ms = or_default(pacing->connect_timeout_ms, OTLP_CONNECT_TIMEOUT_MS),
    };
    for (size_t i = 0; i < config->destination_count; i++) {
        self->destination_configs[i] = config->destinations[i];
    }
}

static void tell_drained(struct otlp_exporter *self)
{
    void (*drained)(void *user) = self->drained;

    self->drained = NULL;
    if (drained != NULL) {
        (void)uv_timer_stop(&self->drain_timer);
        drained(self->drained_user);
    }
}

static void on_emptied(void *user)
{
    struct otlp_exporter *self = user;

    for (size_t i = 0; i < self->destination_count; i++) {
        if (!destination_is_empty(&self->destinations[i])) {
            return;
        }
    }
    tell_drained(self);
}

static int init_destinations(struct otlp_exporter *self, const char **ret_what)
{
    for (size_t i = 0; i < self->config.destination_count; i++) {
        self->destination_count = i + 1;
        self->destinations[i].emptied = NULL;
        int error =
            destination_init(&self->destinations[i], &self->destination_configs[i], &self->config, ret_what);
        if (error < 0) {
            return error;
        }
        self->destinations[i].emptied = on_emptied;
        self->destinations[i].user = self;
    }
    return 0;
}

static void close_destinations(struct otlp_exporter *self)
{
    for (size_t i = 0; i < self->destination_count; i++) {
        destination_close(&self->destinations[i]);
    }
}

int otlp_exporter_new(
    const struct otlp_exporter_config *config, struct otlp_exporter **ret_exporter, const char **ret_what)
{
    struct otlp_exporter *self = calloc(1, sizeof *self);

    if (self == NULL) {
        return WERR_NOMEM;
    }
    self->destination_configs = calloc(config->destination_count + 1, sizeof *self->destination_configs);
    self->destinations = calloc(config->destination_count + 1, sizeof *self->destinations);
    if (self->destination_configs == NULL || self->destinations == NULL) {
        otlp_exporter_free(self);
        return WERR_NOMEM;
    }
    copy_config(self, config);
    int error = init_destinations(self, ret_what);
    if (error < 0) {
        close_destinations(self);
        otlp_exporter_free(self);
        return error;
    }
    for (size_t i = 0; i < self->destination_count; i++) {
        destination_start(&self->destinations[i]);
    }
    (void)uv_timer_init(config->loop, &self->drain_timer);
    self->drain_timer.data = self;
    *ret_exporter = self;
    return 0;
}

void otlp_exporter_offer(struct otlp_exporter *exporter, enum otlp_signal signal, int destination_index,
    struct shared_bytes *bytes, uint64_t item_count)
{
    for (size_t i = 0; i < exporter->destination_count; i++) {
        struct destination *destination = &exporter->destinations[i];
        if ((destination_index < 0 || (size_t)destination_index == i) &&
            destination->config->url[signal] != NULL) {
            destination_offer(destination, signal, bytes, item_count);
        }
    }
}

static void on_drain_deadline(uv_timer_t *timer)
{
    tell_drained(timer->data);
}

void otlp_exporter_drain(
    struct otlp_exporter *exporter, uint64_t deadline_ms, void (*done)(void *user), void *user)
{
    tell_drained(exporter); /* an earlier one ends here */
    exporter->drained = done;
    exporter->drained_user = user;
    (void)uv_timer_start(&exporter->drain_timer, on_drain_deadline, deadline_ms, 0);
    for (size_t i = 0; i < exporter->destination_count; i++) {
        destination_drain(&exporter->destinations[i]);
    }
    on_emptied(exporter);
}

void otlp_exporter_close(struct otlp_exporter *exporter)
{
    close_destinations(exporter);
    tell_drained(exporter);
    uv_close((uv_handle_t *)&exporter->drain_timer, NULL);
}

void otlp_exporter_free(struct otlp_exporter *exporter)
{
    if (exporter == NULL) {
        return;
    }
    for (size_t i = 0; i < exporter->destination_count; i++) {
        destination_deinit(&exporter->destinations[i]);
    }
    free(exporter->destinations);
    free(exporter->destination_configs);
    free(exporter);
}
