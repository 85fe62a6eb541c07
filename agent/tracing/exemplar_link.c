/* Offers of exemplars; see exemplar_link.h. */
#include "tracing/exemplar_link.h"

#include "tracing/trace_thread.h"

static const uint64_t NS_PER_S = 1000000000;
static const uint64_t NS_PER_MS = 1000000;

static void on_answered(struct mail *mail, void *receiver)
{
    struct exemplar_letter *letter = (struct exemplar_letter *)mail;
    struct exemplar_link *link = letter->user;

    (void)receiver;
    for (size_t i = 0; i < letter->offer_count; i++) {
        if (letter->is_granted[i]) {
            aggregator_exemplar_granted(link->aggregator, letter->offers[i].number);
        } else {
            aggregator_exemplar_refused(link->aggregator, letter->offers[i].number);
        }
    }
    for (size_t i = 0; i < letter->withdraw_count; i++) {
        aggregator_withdraw_exemplar(link->aggregator, letter->withdraw[i]);
    }
    link->is_out = false;
    exemplar_link_send(link, false);
}

uint64_t exemplar_link_retention_ns(const struct exemplar_link *link)
{
    uint64_t retention_ns = link->retention_min_ns;

    for (size_t i = 0; i < SCRAPE_GAPS_COUNT && i < link->gap_count; i++) {
        retention_ns = 2 * link->gaps_ns[i] > retention_ns ? 2 * link->gaps_ns[i] : retention_ns;
    }
    return retention_ns;
}

static void note_retention(struct exemplar_link *link)
{
    uint64_t retention_ns = exemplar_link_retention_ns(link);

    aggregator_set_exemplar_retention(link->aggregator, retention_ns);
    metric_set(link->cells, METRIC_EXEMPLAR_RETENTION, retention_ns / NS_PER_MS);
}

/* A destination of OTLP metrics is somebody who scrapes, too. */
static uint64_t least_retention(const struct config *config)
{
    uint64_t retention_s = config->trace.exemplar_retention_s;

    for (size_t i = 0; i < config->exporters.otlp.count; i++) {
        const struct config_otlp *otlp = &config->exporters.otlp.items[i];
        if (otlp->url[CONFIG_SIGNAL_METRICS] != NULL && 2 * otlp->metrics.interval_s > retention_s) {
            retention_s = 2 * otlp->metrics.interval_s;
        }
    }
    return retention_s * NS_PER_S;
}

void exemplar_link_init(struct exemplar_link *link, const struct config *config,
    struct aggregator *aggregator, struct trace_thread *traces, struct mailbox *mailbox,
    struct metric_cells *cells)
{
    *link = (struct exemplar_link){
        .aggregator = aggregator,
        .traces = traces,
        .mailbox = mailbox,
        .cells = cells,
        .retention_min_ns = least_retention(config),
    };
    note_retention(link);
}

void exemplar_link_reconfigure(struct exemplar_link *link, const struct config *config)
{
    if (link->traces != NULL) {
        link->retention_min_ns = least_retention(config);
        note_retention(link);
    }
}

void exemplar_link_note_scrape(struct exemplar_link *link, uint64_t now_ns)
{
    uint64_t gap_ns = now_ns - link->scrape_ns;

    if (link->traces == NULL) {
        return;
    }
    if (link->scrape_ns != 0 && gap_ns <= SCRAPE_GAP_S_MAX * NS_PER_S) {
        link->gaps_ns[link->gap_count++ % SCRAPE_GAPS_COUNT] = gap_ns;
        note_retention(link);
    }
    link->scrape_ns = now_ns;
}

void exemplar_link_send(struct exemplar_link *link, bool always)
{
    struct exemplar_letter *letter = &link->letter;

    if (link->traces == NULL || link->is_out) {
        return;
    }
    letter->withdrawn_count =
        aggregator_take_withdrawn(link->aggregator, letter->withdrawn, EXEMPLAR_WITHDRAWN_COUNT);
    letter->offer_count = aggregator_take_offers(link->aggregator, letter->offers, EXEMPLAR_OFFERS_COUNT);
    if (letter->withdrawn_count == 0 && letter->offer_count == 0 && !always) {
        return;
    }
    letter->reply_to = link->mailbox;
    letter->answered = on_answered;
    letter->user = link;
    letter->retention_ns = exemplar_link_retention_ns(link);
    link->is_out = true;
    if (!trace_thread_offer_exemplars(link->traces, letter)) {
        link->traces = NULL; /* it is stopping, and so are we */
    }
}
