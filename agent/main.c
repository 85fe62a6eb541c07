/* weftd: options, configuration, and the main loop. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "config/command_line.h"
#include "config/config.h"
#include "config/effective.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/error.h"
#include "core/profiles.h"
#include "daemon.h"
#include "exporter_thread.h"

/* Descriptors of a connection at most (TLS has three), and of everything else. */
enum { EXIT_USAGE = 2, LINE_BYTES = 512, CONNECTION_FDS = 3, OWN_FDS = 256 };

/* Of malloc: larger pieces are mapped, and given back when they are freed; so is what is free at an arena's
 * end. */
enum { MAPPED_BYTES_MIN = 160 << 10, FREE_BYTES_MAX = 256 << 10 };

extern char **environ;

/* limits.connections_count_max is a promise: the process gets the descriptors for it, or the log says that it
 * did not. */
static void raise_descriptor_limit(const struct config *config, struct log *log)
{
    rlim_t wanted = (rlim_t)config->limits.connections_count_max * CONNECTION_FDS + OWN_FDS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        log_event(log, LOG_LEVEL_WARN, "few_descriptors", LOG_I("wanted", (int64_t)wanted),
            LOG_I("allowed", (int64_t)limit.rlim_max));
    }
}

/* By itself glibc maps only what is larger than anything that was freed before, up to 32 MiB: after one large
 * answer all that is large lies scattered in the arenas of every thread, and stays. Where every span is
 * exported, large buffers come and go all the time, and mapping each costs half a CPU-second per million
 * spans. */
static void bound_malloc(const struct config *config)
{
#ifdef __GLIBC__
    if (config->trace.export != CONFIG_TRACE_EXPORT_ALL || config->exporters.otlp.count == 0) {
        (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        (void)mallopt(M_TRIM_THRESHOLD, FREE_BYTES_MAX);
    }
#else
    (void)config;
#endif
}

static int run(const struct config *config, const struct config_source *source)
{
    struct log log;
    uv_loop_t loop;
    struct daemon *daemon = NULL;
    char reason[DAEMON_REASON_BYTES];

    bound_malloc(config);
    log_init(&log, STDERR_FILENO, config->log.level, config->log.format, clock_system());
    for (size_t i = 0; i < config->warnings.count; i++) {
        log_event(&log, LOG_LEVEL_WARN, "configuration", LOG_S("reason", config->warnings.items[i]));
    }
    raise_descriptor_limit(config, &log);
    if (uv_loop_init(&loop) != 0) {
        log_event(&log, LOG_LEVEL_ERROR, "start_failed", LOG_S("reason", "no event loop"));
        return EXIT_FAILURE;
    }
    (void)signal(SIGHUP, SIG_IGN);  /* until there is something to reload */
    (void)signal(SIGPIPE, SIG_IGN); /* who reads stderr, or a TLS peer, may go: an error like others */
    int error = daemon_start(config, source, &log, &loop, &daemon, reason);
    if (error < 0) {
        log_event(&log, LOG_LEVEL_ERROR, "start_failed", LOG_S("reason", reason));
    } else {
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    daemon_free(daemon);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* what is closing ends */
    (void)uv_loop_close(&loop);
    log_event(&log, LOG_LEVEL_INFO, "stopped", LOG_I("code", error));
    log_deinit(&log);
    return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What only the exporter can tell of its files: whether they hold certificates and a key that fit. */
static int check_exporters(const struct config *config)
{
    struct metric_registry registry = {.owner_count = 0};
    struct exporter_thread exporter;
    const char *what = "exporters.otlp";
    int error = 0;

    if (config->exporters.otlp.count > 0) {
        error = exporter_thread_init(&exporter, config, &registry, clock_system(), NULL, &what);
    }
    if (error < 0) {
        (void)fprintf(stderr, "weftd: %s: %s\n", what, werr_text(error));
    } else if (config->exporters.otlp.count > 0) {
        exporter_thread_stop(&exporter);
    }
    metric_registry_deinit(&registry);
    return error;
}

/* A family has one owner; who sends one of these under its own name has to know that it is dropped. */
static void tell_owned_families(const struct config *config)
{
    for (int p = 0; p < PROFILE_COUNT; p++) {
        const struct profile_family *family = profile_rows[p].families;

        if ((config->exporters.prometheus.profiles >> p & 1) == 0) {
            continue;
        }
        (void)printf("exporters.prometheus.profiles: %s owns", profile_rows[p].name);
        for (; family->name != NULL; family++) {
            (void)printf(" %s%s", family->name, family->type == PROFILE_COUNTER ? "_total" : "");
        }
        (void)puts("; these are dropped when they are scraped or sent by proxies");
    }
}

static int print_effective(const struct config *config)
{
    struct buffer out;
    int code = EXIT_SUCCESS;

    buffer_init(&out, CONFIG_EFFECTIVE_BYTES_MAX);
    if (config_write(config, &out) < 0 || fwrite(out.data, 1, out.length, stdout) != out.length) {
        (void)fprintf(stderr, "weftd: --effective-config: cannot be written\n");
        code = EXIT_FAILURE;
    }
    buffer_deinit(&out);
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line;
    struct config *config;
    struct config_error error;
    char text[LINE_BYTES];

    if (command_line_parse(argc, argv, &line, text, sizeof text) < 0) {
        (void)fprintf(stderr, "weftd: %s\n%s", text, command_line_usage());
        return EXIT_USAGE;
    }
    if (line.help) {
        (void)fputs(command_line_usage(), stdout);
        return EXIT_SUCCESS;
    }
    if (line.version) {
        (void)puts("weftd " WEFT_VERSION);
        return EXIT_SUCCESS;
    }
    struct config_source source = {
        .path = line.config_path,
        .socket_path = line.socket_path,
        .http_address = line.http_address,
        .shards = line.shards,
        .environment = (const char *const *)environ,
        .is_root = geteuid() == 0,
    };
    if (config_load(&source, &config, &error) < 0) {
        (void)fprintf(stderr, "weftd: %s\n", error.text);
        return EXIT_USAGE;
    }
    int code = EXIT_SUCCESS;
    if (line.effective_config) {
        code = print_effective(config);
    } else if (line.check_config) {
        code = check_exporters(config) < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        if (code == EXIT_SUCCESS) {
            tell_owned_families(config);
            (void)puts("configuration is valid");
        }
    } else {
        code = run(config, &source);
    }
    config_free(config);
    return code;
}
