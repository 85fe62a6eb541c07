/* Shared parts of the load generators: load.h. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"

enum { PROC_TEXT_BYTES = 4096 };

static int read_proc(pid_t pid, const char *file, char text[static PROC_TEXT_BYTES])
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return WERR_IO;
    }
    ssize_t length = read(fd, text, PROC_TEXT_BYTES - 1);
    (void)close(fd);
    if (length <= 0) {
        return WERR_IO;
    }
    text[length] = '\0';
    return 0;
}

int process_cost_of(pid_t pid, struct process_cost *ret_cost)
{
    char text[PROC_TEXT_BYTES];
    int error = read_proc(pid, "stat", text);
    const char *at = error == 0 ? strrchr(text, ')') : NULL; /* the name may hold anything */
    unsigned long user_ticks, kernel_ticks;
    double ticks_per_s = (double)sysconf(_SC_CLK_TCK);

    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user_ticks,
                          &kernel_ticks) != 2) {
        return WERR_IO;
    }
    *ret_cost = (struct process_cost){
        .user_s = (double)user_ticks / ticks_per_s, .kernel_s = (double)kernel_ticks / ticks_per_s};
    return 0;
}

double process_memory_mib(pid_t pid, const char *key)
{
    char text[PROC_TEXT_BYTES];
    const char *at = read_proc(pid, "status", text) == 0 ? strstr(text, key) : NULL;

    return at != NULL ? strtod(at + strlen(key) + 1, NULL) / 1024 : 0;
}

int load_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof address.sun_path) {
        return WERR_OVERSIZED;
    }
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return WERR_IO;
    }
    return fd;
}

void load_print(const char *name, pid_t pid, const struct load_interval *interval)
{
    double millions = (double)interval->spans / 1e6;
    double user_s = interval->after.user_s - interval->before.user_s;
    double kernel_s = interval->after.kernel_s - interval->before.kernel_s;
    double elapsed_s = (double)(interval->end_ns - interval->start_ns) / 1e9;

    (void)printf("%s_cpu %.4f s/Mspan\n", name, (user_s + kernel_s) / millions);
    (void)printf("%s_kernel %.4f s/Mspan\n", name, kernel_s / millions);
    (void)printf("%s_busy %.0f %%\n", name, 100 * (user_s + kernel_s) / elapsed_s);
    (void)printf("%s_rate %.0f span/s\n", name, (double)interval->spans / elapsed_s);
    (void)printf("%s_memory %.1f MiB\n", name, process_memory_mib(pid, "VmRSS"));
    (void)printf("%s_memory_max %.1f MiB\n", name, process_memory_mib(pid, "VmHWM"));
}

static void set_option(struct load_options *options, int letter, const char *value)
{
    switch (letter) {
    case 's':
        options->socket_path = value;
        break;
    case 'f':
        options->corpus_path = value;
        break;
    case 'n':
        options->name = value;
        break;
    case 'p':
        options->pid = (pid_t)strtol(value, NULL, 10);
        break;
    case 't':
        options->seconds = strtod(value, NULL);
        break;
    case 'b':
        options->spans_per_message = (uint32_t)strtoul(value, NULL, 10);
        break;
    case 'c':
        options->connections = (uint32_t)strtoul(value, NULL, 10);
        break;
    case 'r':
        options->rate = strtod(value, NULL);
        break;
    case 'u':
        options->burst = (uint32_t)strtoul(value, NULL, 10);
        break;
    case 'm':
        options->streams = (uint32_t)strtoul(value, NULL, 10);
        break;
    default:
        options->label_sets = (uint32_t)strtoul(value, NULL, 10);
        break;
    }
}

int load_options_parse(int argc, char **argv, struct load_options *ret_options)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
        {"corpus", required_argument, NULL, 'f'}, {"name", required_argument, NULL, 'n'},
        {"pid", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 't'},
        {"batch", required_argument, NULL, 'b'}, {"connections", required_argument, NULL, 'c'},
        {"streams", required_argument, NULL, 'm'}, {"label-sets", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'}, {"burst", required_argument, NULL, 'u'}, {NULL, 0, NULL, 0}};
    int letter;

    *ret_options = (struct load_options){
        .name = "load", .seconds = 2, .spans_per_message = 512, .connections = 4, .streams = 64, .burst = 1};
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == '?') {
            return WERR_INVALID;
        }
        set_option(ret_options, letter, optarg);
    }
    if (ret_options->socket_path == NULL || ret_options->corpus_path == NULL || ret_options->pid <= 0 ||
        ret_options->spans_per_message == 0 || ret_options->connections == 0 || ret_options->streams == 0 ||
        ret_options->burst == 0) {
        (void)fprintf(stderr,
            "usage: %s --socket PATH --pid PID --corpus FILE.otlp [--name NAME] [--seconds S] "
            "[--batch SPANS] [--connections N] [--streams N] [--rate SPANS/S] [--burst MESSAGES] "
            "[--label-sets N]\n",
            argv[0]);
        return WERR_INVALID;
    }
    return 0;
}
