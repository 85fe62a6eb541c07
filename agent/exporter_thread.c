/* Letters to the exporter thread, and its start and stop. Functions named on_… run on its loop. */
#include "exporter_thread.h"

#include <stdlib.h>

#include "core/error.h"

enum { HANDOVER_BYTES_MAX = 67108864 };

struct offer_letter {
    struct mail mail; /* first member */
    enum otlp_signal signal;
    int destination_index;
    struct shared_bytes *bytes;
    uint64_t item_count;
};

struct drain_letter {
    struct mail mail; /* first member */
    uint64_t deadline_ms;
    struct mailbox *reply_to;
    struct mail *done;
};

static void on_event(void *user, const struct otlp_event *event)
{
    struct exporter_thread *self = user;
    static const char *const names[] = {
        [OTLP_EVENT_FAILED] = "export_failed",
        [OTLP_EVENT_REJECTED] = "export_rejected",
        [OTLP_EVENT_QUEUE_FULL] = "export_queue_full",
        [OTLP_EVENT_RECOVERED] = "export_recovered",
    };

    log_event(self->log, event->type == OTLP_EVENT_RECOVERED ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
        names[event->type], LOG_S("destination", event->destination), LOG_I("status", event->status),
        LOG_I("items", event->item_count), LOG_S("reason", event->text));
}

/* Of the sources of credentials those that the configuration wants. */
static void fill_aws(struct otlp_aws_config *to, const struct config_aws *from)
{
    static const char *const services[OTLP_SIGNAL_COUNT] = {
        [OTLP_SIGNAL_TRACES] = "xray", [OTLP_SIGNAL_METRICS] = "monitoring", [OTLP_SIGNAL_LOGS] = "logs"};

    *to = (struct otlp_aws_config){
        .region = from->region,
        .log_group = from->log_group,
        .log_stream = from->log_stream,
        .access_key_id = from->access_key_id,
        .secret_access_key = from->secret_access_key,
        .session_token = from->session_token,
        .credentials_file = from->credentials_file,
        .profile = from->profile,
        .container_url = from->container_url,
        .container_token = from->container_token,
        .container_token_file = from->container_token_file,
        .instance_url = from->instance_url,
    };
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++) {
        to->service[i] = from->service != NULL ? from->service : services[i];
    }
}

/* The configuration's words in the exporter's. */
static void fill_destination(struct otlp_destination_config *to, const struct config_otlp *from)
{
    *to = (struct otlp_destination_config){
        .name = from->name,
        .protocol = from->protocol == CONFIG_PROTOCOL_GRPC ? OTLP_PROTOCOL_GRPC : OTLP_PROTOCOL_HTTP_PROTOBUF,
        .url = {[OTLP_SIGNAL_TRACES] = from->url[CONFIG_SIGNAL_TRACES],
            [OTLP_SIGNAL_METRICS] = from->url[CONFIG_SIGNAL_METRICS],
            [OTLP_SIGNAL_LOGS] = from->url[CONFIG_SIGNAL_LOGS]},
        .header_count = from->headers.count,
        .compression = from->compression == CONFIG_COMPRESSION_GZIP   ? COMPRESSION_GZIP
                       : from->compression == CONFIG_COMPRESSION_ZSTD ? COMPRESSION_ZSTD
                                                                      : COMPRESSION_NONE,
        .ca_file = from->tls.ca_file,
        .cert_file = from->tls.cert_file,
        .key_file = from->tls.key_file,
        .server_name = from->tls.server_name,
        .insecure_skip_verify = from->tls.insecure_skip_verify,
        .timeout_ms = from->timeout_ms,
        .queue_bytes_max = from->queue.bytes_max,
        .batch_count_max = from->batch.count_max,
        .batch_bytes_max = from->batch.bytes_max,
        .batch_delay_ms = from->batch.delay_ms,
    };
    if (from->aws.region != NULL) {
        fill_aws(&to->aws, &from->aws);
    }
}

static struct otlp_header *copy_headers(const struct config_headers *from)
{
    struct otlp_header *headers = calloc(from->count + 1, sizeof *headers);

    for (size_t i = 0; headers != NULL && i < from->count; i++) {
        headers[i] = (struct otlp_header){.name = from->items[i].name, .value = from->items[i].value};
    }
    return headers;
}

static int add_destination(
    struct exporter_thread *self, const struct config_otlp *from, struct metric_registry *registry)
{
    if (self->destination_count == EXPORTER_DESTINATION_COUNT_MAX) {
        return WERR_FULL;
    }
    struct otlp_destination_config *to = &self->destinations[self->destination_count];
    fill_destination(to, from);
    to->cells = metric_registry_add(registry, METRIC_SCOPE_DESTINATION, from->name);
    to->headers = copy_headers(&from->headers);
    to->headers_version = &self->headers_version;
    if (to->cells == NULL || to->headers == NULL) {
        free((void *)(uintptr_t)to->headers);
        return WERR_NOMEM;
    }
    self->destination_count++;
    return 0;
}

static void free_headers(struct exporter_thread *self)
{
    for (size_t i = 0; i < self->destination_count; i++) {
        free((void *)(uintptr_t)self->destinations[i].headers);
    }
    self->destination_count = 0;
}

int exporter_thread_init(struct exporter_thread *self, const struct config *config,
    struct metric_registry *registry, const struct clock *clock, struct log *log, const char **ret_what)
{
    *self = (struct exporter_thread){.log = log, .handover = {.cap_bytes = HANDOVER_BYTES_MAX}};
    *ret_what = "exporters.otlp";
    for (size_t i = 0; i < config->exporters.otlp.count; i++) {
        int error = add_destination(self, &config->exporters.otlp.items[i], registry);
        if (error < 0) {
            free_headers(self);
            return error;
        }
    }
    int error = loop_thread_init(&self->thread, self);
    if (error < 0) {
        free_headers(self);
        return error;
    }
    struct otlp_exporter_config otlp = {
        .loop = &self->thread.loop,
        .clock = clock,
        .destinations = self->destinations,
        .destination_count = self->destination_count,
        .event = on_event,
        .user = self,
        .random_seed = clock_unix_ns(clock) ^ clock_monotonic_ns(clock),
    };
    error = otlp_exporter_new(&otlp, &self->otlp, ret_what);
    if (error < 0) {
        loop_thread_deinit(&self->thread);
        free_headers(self);
    }
    return error;
}

int exporter_thread_start(struct exporter_thread *self)
{
    return loop_thread_start(&self->thread, "weft-export");
}

bool exporter_thread_takes(const struct exporter_thread *self, enum otlp_signal signal)
{
    for (size_t i = 0; i < self->destination_count; i++) {
        if (self->destinations[i].url[signal] != NULL) {
            return true;
        }
    }
    return false;
}

static void on_offer(struct mail *mail, void *receiver)
{
    struct exporter_thread *self = receiver;
    struct offer_letter *letter = (struct offer_letter *)mail;

    otlp_exporter_offer(
        self->otlp, letter->signal, letter->destination_index, letter->bytes, letter->item_count);
    budget_release(&self->handover, letter->bytes->length);
    shared_bytes_unref(letter->bytes);
    free(letter);
}

bool exporter_thread_offer(struct exporter_thread *self, enum otlp_signal signal, int destination_index,
    struct shared_bytes *bytes, uint64_t item_count)
{
    if (!budget_reserve(&self->handover, bytes->length)) {
        return false;
    }
    struct offer_letter *letter = malloc(sizeof *letter);
    if (letter == NULL) {
        budget_release(&self->handover, bytes->length);
        return false;
    }
    *letter = (struct offer_letter){
        .mail = {.deliver = on_offer},
        .signal = signal,
        .destination_index = destination_index,
        .bytes = bytes,
        .item_count = item_count,
    };
    if (!mailbox_post(&self->thread.mailbox, &letter->mail)) {
        budget_release(&self->handover, bytes->length);
        free(letter);
        return false;
    }
    return true;
}

static void on_drained(void *user)
{
    struct drain_letter *letter = user;

    (void)mailbox_post(letter->reply_to, letter->done);
    free(letter);
}

static void on_drain(struct mail *mail, void *receiver)
{
    struct exporter_thread *self = receiver;
    struct drain_letter *letter = (struct drain_letter *)mail;

    otlp_exporter_drain(self->otlp, letter->deadline_ms, on_drained, letter);
}

bool exporter_thread_drain(
    struct exporter_thread *self, uint64_t deadline_ms, struct mailbox *reply_to, struct mail *done)
{
    struct drain_letter *letter = malloc(sizeof *letter);

    if (letter == NULL) {
        return false;
    }
    *letter = (struct drain_letter){
        .mail = {.deliver = on_drain}, .deadline_ms = deadline_ms, .reply_to = reply_to, .done = done};
    if (!mailbox_post(&self->thread.mailbox, &letter->mail)) {
        free(letter);
        return false;
    }
    return true;
}

/* Names and number are as they were: those need a restart. */
static void on_config(struct mail *mail, void *receiver)
{
    struct exporter_thread *self = receiver;
    struct config_letter *letter = (struct config_letter *)mail;
    const struct config_otlp *from = letter->config->exporters.otlp.items;

    for (size_t i = 0; i < self->destination_count; i++) {
        struct otlp_header *headers = (struct otlp_header *)(uintptr_t)self->destinations[i].headers;
        for (size_t j = 0; j < self->destinations[i].header_count; j++) {
            headers[j].value = from[i].headers.items[j].value;
        }
    }
    self->headers_version++;
    config_letter_acknowledge(letter);
}

void exporter_thread_post_config(struct exporter_thread *self, struct config_letter *letter)
{
    config_letter_post(letter, &self->thread.mailbox, on_config);
}

static void on_stop(struct mail *mail, void *receiver)
{
    struct exporter_thread *self = receiver;

    (void)mail; /* belongs to exporter_thread_stop's frame */
    otlp_exporter_close(self->otlp);
    loop_thread_finish(&self->thread);
}

void exporter_thread_stop(struct exporter_thread *self)
{
    struct mail stop = {.deliver = on_stop};

    if (self->otlp == NULL) {
        return;
    }
    if (self->thread.started) {
        (void)mailbox_post(&self->thread.mailbox, &stop);
        loop_thread_join(&self->thread);
    } else {
        otlp_exporter_close(self->otlp);
    }
    loop_thread_deinit(&self->thread);
    otlp_exporter_free(self->otlp);
    self->otlp = NULL;
    free_headers(self);
}
