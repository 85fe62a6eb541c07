/*
 * `weft demo`: simulates a mesh (demo_graph.h) at a steady rate, and tells the agent of it as its proxies
 * would (demo_mesh.h). Here are the options, the clock and what is said. One thread beside libweft's own.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/demo_graph.h"
#include "cli/demo_mesh.h"
#include "cli/options.h"
#include "weft/weft.h"

enum {
    CONNECT_WAIT_MS = 3000,
    CONNECT_LOOK_MS = 20,
    FLUSH_MS = 5000,
    LOOK_MS = 500,   /* whether the agent is there */
    BEHIND_MS = 100, /* what is further behind comes later, not all at once: the machine slept, or is slow */
    RATE = 50,
    RATE_MAX = 10000,
    SECONDS_MAX = 31536000,
};

#define MS_NS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

struct demo {
    const char *socket_path;
    unsigned long rate; /* requests a second */
    unsigned long seed;
    double seconds; /* 0: until a signal */
    bool is_quiet;
    sigset_t signals; /* that end it; blocked, and waited for */
    bool is_stopped;  /* by one of them */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Waits so long, at most a second; false when a signal has ended it. */
static bool wait_ns(struct demo *demo, uint64_t ns)
{
    const struct timespec timeout = {.tv_nsec = (long)(ns < NS_PER_S ? ns : NS_PER_S - 1)};

    if (sigtimedwait(&demo->signals, NULL, &timeout) > 0) {
        demo->is_stopped = true;
    }
    return !demo->is_stopped;
}

/* ---- the agent, there or not ---- */

/* Waits a moment for the first clients to be answered. */
static bool wait_for_agent(struct demo *demo, const struct demo_mesh *mesh)
{
    struct demo_tally tally;

    for (int looks = 0; looks < CONNECT_WAIT_MS / CONNECT_LOOK_MS; looks++) {
        demo_mesh_tally(mesh, &tally);
        if (tally.connected_count > 0) {
            return true;
        }
        if (!wait_ns(demo, CONNECT_LOOK_MS * MS_NS)) {
            return false;
        }
    }
    fprintf(stderr,
        "weft demo: no agent answers%s%s (%s); is weftd running? --socket or WEFT_SOCKET names it\n",
        demo->socket_path != NULL ? " at " : "", demo->socket_path != NULL ? demo->socket_path : "",
        tally.last_error[0] != '\0' ? tally.last_error : "no answer yet");
    return false;
}

/* Says when it goes and when it is back: libweft connects again by itself. */
static void look_at_agent(const struct demo_mesh *mesh, bool *is_there)
{
    struct demo_tally tally;

    demo_mesh_tally(mesh, &tally);
    if ((tally.connected_count > 0) == *is_there) {
        return;
    }
    *is_there = !*is_there;
    if (*is_there) {
        fputs("weft demo: the agent is back\n", stderr);
    } else {
        fprintf(stderr, "weft demo: the agent has gone away (%s); going on until it is back\n",
            tally.last_error[0] != '\0' ? tally.last_error : "no reason told");
    }
}

/* ---- the clock ---- */

/* How long until the request is due, the next look at the agent, or the end. */
static uint64_t pause_ns(uint64_t now_ns, uint64_t due_ns, uint64_t look_ns, uint64_t end_ns)
{
    uint64_t wake_ns = due_ns < look_ns ? due_ns : look_ns;

    wake_ns = wake_ns < end_ns ? wake_ns : end_ns;
    return wake_ns > now_ns ? wake_ns - now_ns : 0;
}

/* Records requests as they end, until the time is over or a signal comes. Returns how many. */
static uint64_t run(struct demo *demo, struct demo_mesh *mesh)
{
    struct demo_graph graph;
    struct demo_request request;
    uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC); /* moves when the machine has slept */
    uint64_t end_ns = demo->seconds > 0 ? begin_ns + (uint64_t)(demo->seconds * 1e9) : UINT64_MAX;
    uint64_t look_ns = begin_ns;
    uint64_t count = 0;
    bool is_there = true;

    demo_graph_init(&graph, demo->seed, (double)demo->rate);
    demo_graph_next(&graph, &request);
    for (uint64_t now_ns = begin_ns; now_ns < end_ns && !demo->is_stopped;
         now_ns = clock_ns(CLOCK_MONOTONIC)) {
        uint64_t due_ns = begin_ns + request.at_ns;
        if (now_ns > due_ns + BEHIND_MS * MS_NS) {
            begin_ns += now_ns - due_ns;
        }
        if (now_ns >= look_ns) {
            look_at_agent(mesh, &is_there);
            look_ns = now_ns + LOOK_MS * MS_NS;
            (void)wait_ns(demo, 0); /* when it is too slow for its rate, it never waits below */
        }
        if (due_ns <= now_ns) {
            demo_mesh_record(mesh, &request, clock_ns(CLOCK_REALTIME));
            demo_graph_next(&graph, &request);
            count++;
        } else {
            (void)wait_ns(demo, pause_ns(now_ns, due_ns, look_ns, end_ns));
        }
    }
    return count;
}

/* ---- the command ---- */

static void say_what(const struct demo *demo)
{
    printf("weft demo: %d services in shop and bank, %lu requests/s, seed %lu; look with weft stat, weft "
           "slow and weft "
           "why cart, whose replica cart-2 comes and goes slow\n",
        DEMO_SERVICE_COUNT, demo->rate, demo->seed);
    (void)fflush(stdout);
}

/* True when nothing was lost. */
static bool say_sums(struct demo *demo, struct demo_mesh *mesh, uint64_t request_count)
{
    struct demo_tally tally;

    demo_mesh_flush(mesh, FLUSH_MS);
    demo_mesh_tally(mesh, &tally);
    bool is_whole = tally.acknowledged_spans == tally.sent_spans && tally.rejected_spans == 0;
    if (!is_whole || !demo->is_quiet) {
        fprintf(is_whole ? stdout : stderr,
            "weft demo: %" PRIu64 " requests, %" PRIu64 " spans sent: %" PRIu64 " acknowledged, %" PRIu64
            " of them rejected, %" PRIu64 " dropped%s%s\n",
            request_count, tally.sent_spans, tally.acknowledged_spans, tally.rejected_spans,
            tally.dropped_spans, is_whole ? "" : "; some are lost: ", is_whole ? "" : tally.last_error);
    }
    return is_whole;
}

static bool simulate(struct demo *demo)
{
    struct demo_mesh mesh;
    bool is_whole = false;
    int error = demo_mesh_open(&mesh, demo->socket_path);

    if (error != 0) {
        fprintf(stderr, "weft demo: cannot make its clients: %s\n",
            error == WEFT_ERROR_INVALID ? "the socket's path is too long" : "out of memory or descriptors");
    } else if (wait_for_agent(demo, &mesh)) {
        if (!demo->is_quiet) {
            say_what(demo);
        }
        uint64_t request_count = run(demo, &mesh);
        is_whole = say_sums(demo, &mesh, request_count);
    } else {
        is_whole = demo->is_stopped; /* nothing was sent, nothing is lost */
    }
    demo_mesh_close(&mesh);
    return is_whole;
}

static const struct option_row rows[] = {
    {.name = "rate",
        .value = "N",
        .help = "requests a second from outside, each of which makes about 9 spans\n(default 50)",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct demo, rate),
        .most = RATE_MAX},
    {.name = "seed",
        .value = "N",
        .help = "the same seed and rate make the same sequence of requests (default 1)",
        .kind = OPTION_COUNT,
        .offset = offsetof(struct demo, seed),
        .most = UINT32_MAX},
    {.name = "seconds",
        .value = "N",
        .help = "end after so long (default 0: at Ctrl-C)",
        .kind = OPTION_SECONDS,
        .offset = offsetof(struct demo, seconds),
        .most = SECONDS_MAX},
    {.name = "socket",
        .value = "PATH",
        .help = "the agent's socket for records (else WEFT_SOCKET, else the usual places)",
        .kind = OPTION_TEXT,
        .offset = offsetof(struct demo, socket_path)},
    {.name = "quiet",
        .help = "say only what goes wrong",
        .kind = OPTION_FLAG,
        .offset = offsetof(struct demo, is_quiet)},
    {.name = NULL},
};

int cmd_demo(int argc, char **argv)
{
    struct demo demo = {.rate = RATE, .seed = 1};
    const char *operands[OPERANDS_MAX];
    sigset_t before;
    const struct command_line line = {
        .name = "demo",
        .operands = "",
        .about =
            "Simulates a mesh and tells the agent of its requests in whole traces, as the proxies on both "
            "sides\n"
            "of each call would: twelve services in two namespaces. Replica cart-2 is slow for 20 s of each\n"
            "minute, the circuit breaker before recommendations opens for 6 s of each half minute, failed "
            "calls\n"
            "to payments are tried again.\n",
        .groups = {{rows, &demo}},
        .examples = "  weft demo\n"
                    "  weft demo --rate 500 --seconds 30 && weft why cart\n",
        .exit_codes =
            "Exit code 0 when all was acknowledged; 1 when no agent is there or something was lost; 2 "
            "for wrong usage.\n",
    };
    int code = options_read(&line, argc, argv, operands);

    if (code != OPTIONS_GO_ON) {
        return code;
    }
    (void)sigemptyset(&demo.signals);
    (void)sigaddset(&demo.signals, SIGINT);
    (void)sigaddset(&demo.signals, SIGTERM);
    (void)sigaddset(&demo.signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &demo.signals, &before);
    bool is_whole = simulate(&demo);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return is_whole ? EXIT_SUCCESS : EXIT_FAILURE;
}
